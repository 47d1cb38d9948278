"""Private names with two underscores, shown by properties."""


class Value:
    def __init__(self, data, children=()):
        self.__data = data
        self.__grad = 0.0
        self.__children = tuple(children)
        self.__pull = None

    @property
    def data(self):
        return self.__data

    @data.setter
    def data(self, number):
        self.__data = number

    @property
    def grad(self):
        return self.__grad

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.__data + other.__data, (self, other))

        def pull():
            self.__grad += out.__grad
            other.__grad += out.__grad
        out.__pull = pull
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.__data * other.__data, (self, other))

        def pull():
            self.__grad += other.__data * out.__grad
            other.__grad += self.__data * out.__grad
        out.__pull = pull
        return out

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for c in v.__children:
                    build(c)
                topo.append(v)
        build(self)
        self.__grad = 1.0
        for v in reversed(topo):
            if v.__pull:
                v.__pull()


a = Value(2.0)
b = a * a + a
b.backward()
a.data = 5.0
print(b.data, a.grad, a.data)
