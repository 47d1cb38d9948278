"""Classes named Value and Vector that are something else altogether, and must be left alone in silence."""


class Value:
    def __init__(self, amount, currency="EUR"):
        self.amount, self.currency = amount, currency

    def __add__(self, other):
        if other.currency != self.currency:
            raise ValueError("currencies differ")
        return Value(self.amount + other.amount, self.currency)

    def __mul__(self, factor):
        return Value(self.amount * factor, self.currency)

    def __str__(self):
        return f"{self.amount:.2f} {self.currency}"


class Vector:
    def __init__(self, *parts):
        self.parts = parts

    def __add__(self, other):
        return Vector(*(a + b for a, b in zip(self.parts, other.parts)))

    def __mul__(self, other):
        return sum(a * b for a, b in zip(self.parts, other.parts))


print(Value(2) + Value(3.5), Value(2) * 4, Value, type(Value))
print((Vector(1, 2) + Vector(3, 4)).parts, Vector(1, 2) * Vector(3, 4), Vector.__mro__)
try:
    Value(1) + Value(1, "CHF")
except ValueError as error:
    print(error)
