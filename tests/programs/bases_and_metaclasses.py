"""ABC base, Generic base, a metaclass that counts, a mixin: left alone; all must work together with a served one."""
import abc, typing
T = typing.TypeVar('T')
class Base(abc.ABC):
    @abc.abstractmethod
    def backward(self): ...
class Meta(type):
    def __call__(cls, *a, **k):
        cls.made = getattr(cls, 'made', 0) + 1
        return super().__call__(*a, **k)
def ops(cls_name):
    def __init__(self, data, children=()):
        self.data, self.grad, self.children, self._backward = data, 0.0, children, lambda: None
class One(Base):
    def __init__(self, data, children=()):
        self.data, self.grad, self.children = data, 0.0, children
        self._backward = lambda: None
    def __add__(self, o):
        out = One(self.data + o.data, (self, o))
        def f(): self.grad += out.grad; o.grad += out.grad
        out._backward = f
        return out
    def __mul__(self, o):
        out = One(self.data * o.data, (self, o))
        def f(): self.grad += o.data * out.grad; o.grad += self.data * out.grad
        out._backward = f
        return out
    def backward(self):
        topo = []
        def b(v):
            if v not in topo:
                for c in v.children: b(c)
                topo.append(v)
        b(self); self.grad = 1.0
        for v in reversed(topo): v._backward()
class Two(metaclass=Meta):
    def __init__(self, data, children=()):
        self.data, self.grad, self.children = data, 0.0, children
        self._backward = lambda: None
    __add__, __mul__ = One.__add__, One.__mul__
    backward = One.backward
class Three(typing.Generic[T]):
    def __init__(self, data: T, children=()):
        self.data, self.grad, self.children = data, 0.0, children
        self._backward = lambda: None
    def __add__(self, o):
        out = Three(self.data + o.data, (self, o))
        def f(): self.grad += out.grad; o.grad += out.grad
        out._backward = f
        return out
    def __mul__(self, o):
        out = Three(self.data * o.data, (self, o))
        def f(): self.grad += o.data * out.grad; o.grad += self.data * out.grad
        out._backward = f
        return out
    backward = One.backward
class Four:
    def __init__(self, data, children=()):
        self.data, self.grad, self.children = data, 0.0, children
        self._backward = lambda: None
    def __add__(self, o):
        out = type(self)(self.data + o.data, (self, o))
        def f(): self.grad += out.grad; o.grad += out.grad
        out._backward = f
        return out
    def __mul__(self, o):
        out = self.__class__(self.data * o.data, (self, o))
        def f(): self.grad += o.data * out.grad; o.grad += self.data * out.grad
        out._backward = f
        return out
    def backward(self):
        topo = []
        def b(v):
            if v not in topo:
                for c in v.children: b(c)
                topo.append(v)
        b(self); self.grad = 1.0
        for v in reversed(topo): v._backward()
class Five(Four):
    count = 0
    def __init__(self, data, children=()):
        super().__init__(data, children)
        Five.count += 1
    def __mul__(self, o):
        r = super().__mul__(o); r.tag = 'mul'; return r
class Six(Five):
    def __repr__(self): return f'Six({self.data})'
    def __radd__(self, o): return self + type(self)(o)
    def __add__(self, o): return super().__add__(o if isinstance(o, Four) else Six(o))
for cls in (One, Two, Three, Four, Five, Six):
    a, b = cls(2.0), cls(-3.5)
    c = a * b + a * a
    c.backward()
    print(cls.__name__, c.data, a.grad, b.grad, type(c).__name__, getattr(c.children[0], 'tag', None), isinstance(c, Four), len(c.children))
print(Two.made, Five.count)
print(sum([Six(1.0), Six(2.0)], Six(0.5)), sum([Six(1.0), Six(2.0)]), Five.count)
m = Four(2.0) * Five(3.0); n = Five(3.0) * Four(2.0); k = Four(1.0) + Five(2.0)
print(type(m).__name__, type(n).__name__, type(k).__name__, Five.count)
k.backward(); print([c.grad for c in k.children])
