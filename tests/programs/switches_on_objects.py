"""Truths on other objects that the operators read: on an instance, a namespace and a class; hidden, deleted, odd."""

import types


class Config:
    def __init__(self):
        self.on = True


class Settings:
    on = True


config = Config()
space = types.SimpleNamespace(on=True)


class OfInstance:
    def __init__(self, data, prev=()):
        self.data = data
        self.grad = 0.0
        self.prev = prev if config.on else ()
        self.step = None

    def __add__(self, other):
        other = other if isinstance(other, OfInstance) else OfInstance(other)
        out = OfInstance(self.data + other.data, (self, other))

        def step():
            self.grad += out.grad
            other.grad += out.grad

        if config.on:
            out.step = step
        return out

    def __mul__(self, other):
        other = other if isinstance(other, OfInstance) else OfInstance(other)
        out = OfInstance(self.data * other.data, (self, other))

        def step():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.step = step if config.on else None
        return out

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for p in v.prev:
                    build(p)
                topo.append(v)

        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            if v.step:
                v.step()


class OfClass:
    def __init__(self, data, prev=()):
        self.data = data
        self.grad = 0.0
        self.prev = prev if Settings.on else ()
        self.step = None

    def __add__(self, other):
        other = other if isinstance(other, OfClass) else OfClass(other)
        out = OfClass(self.data + other.data, (self, other))

        def step():
            self.grad += out.grad
            other.grad += out.grad

        if Settings.on:
            out.step = step
        return out

    def __mul__(self, other):
        other = other if isinstance(other, OfClass) else OfClass(other)
        out = OfClass(self.data * other.data, (self, other))

        def step():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.step = step if Settings.on else None
        return out

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for p in v.prev:
                    build(p)
                topo.append(v)

        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            if v.step:
                v.step()


class OfNamespace:
    def __init__(self, data, prev=()):
        self.data = data
        self.grad = 0.0
        self.prev = prev if space.on else ()
        self.step = None

    def __add__(self, other):
        other = other if isinstance(other, OfNamespace) else OfNamespace(other)
        out = OfNamespace(self.data + other.data, (self, other))

        def step():
            self.grad += out.grad
            other.grad += out.grad

        if space.on:
            out.step = step
        return out

    def __mul__(self, other):
        other = other if isinstance(other, OfNamespace) else OfNamespace(other)
        out = OfNamespace(self.data * other.data, (self, other))

        def step():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.step = step if space.on else None
        return out

    def backward(self):
        topo, seen = [], set()

        def build(v):
            if v not in seen:
                seen.add(v)
                for p in v.prev:
                    build(p)
                topo.append(v)

        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            if v.step:
                v.step()


def show():
    for cls in (OfInstance, OfClass, OfNamespace):
        try:
            a = cls(2.0)
            b = a * 3 + a * a
            b.backward()
            print(cls.__name__, a.grad, b.data, len(b.prev), b.step is None)
        except AttributeError as error:
            print(cls.__name__, error)


show()
for value in (False, 0, None, True, 1, "", [1], True):
    config.on = Settings.on = space.on = value
    show()
vars(config)["on"] = False
setattr(Settings, "on", False)
space.__dict__.update(on=False)
show()
del config.on, Settings.on, space.on
show()
Config.on = Settings.on = True
space.on = True
show()
del Config.on
config.on = True
show()
Config.on = property(lambda self: False)
show()
del Config.on
show()
