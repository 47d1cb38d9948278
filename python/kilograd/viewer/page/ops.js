// The op table of the page: how a node's number and its local derivatives are computed, and how the rule is written.
//
// A rule has `value(x, c)` and `slopes(x, y, c)`: x are the operands' numbers, y is the result, c the constant of an op
// that has one. `texts` are the same slopes as text, in which {a}, {b} stand for operands, {y} for the result, {c} for
// the constant. No rule is trusted by its name: `Graph` takes one only where it gives the recorded number and the
// recorded derivatives.

const sigmoid = (x) => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x)));
const root2 = Math.SQRT2;
const twoOverRootPi = 1.1283791670955126;

/** The error function and its complement: a series of positive terms near 0, a continued fraction in the tail. */
function erf(x) {
  if (Math.abs(x) > 2.5) return x > 0 ? 1 - erfc(x) : erfc(-x) - 1;
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return twoOverRootPi * Math.exp(-x * x) * sum;
}

function erfc(x) {
  if (Number.isNaN(x)) return NaN;
  if (x < 2.5) return 1 - erf(x);
  let fraction = x;
  for (let n = 120; n > 0; n -= 1) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / fraction / Math.sqrt(Math.PI);
}

const powerSlope = (x, n) => (n === 0 ? 0 : n * x ** (n - 1));
const bell = (x) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
const larger = (a, b) => (a > b ? 1 : a === b ? 0.5 : 0);

/** A function of one number. */
function unary(value, slope, text, pole) {
  return { arity: 1, value: (x, c) => value(x[0], c), slopes: (x, y, c) => [slope(x[0], y, c)], texts: [text], pole };
}

/** A function of two numbers. */
function binary(value, slopes, texts, pole) {
  return { arity: 2, value: (x) => value(x[0], x[1]), slopes: (x, y) => slopes(x[0], x[1], y), texts, pole };
}

const RULES = {
  "+": {
    arity: null, // any number of operands
    value: (x) => x.reduce((sum, each) => sum + each),
    slopes: (x) => x.map(() => 1),
    texts: ["1.0"],
  },
  "*": binary((a, b) => a * b, (a, b) => [b, a], ["{b}", "{a}"]),
  "-": binary((a, b) => a - b, () => [1, -1], ["1.0", "-1.0"]),
  "/": binary((a, b) => a / b, (a, b) => [1 / b, -a / (b * b)], ["1 / {b}", "-{a} / {b}**2"], "division by zero"),
  "**": binary(
    (a, b) => a ** b,
    (a, b, y) => [
      b === 0 ? (a === 0 ? 0 : b / a) : b * a ** (b - 1),
      a === 0 && b >= 0 ? 0 : y * Math.log(a),
    ],
    ["{b} * {a}**({b} - 1)", "{y} * log({a})"],
    "not a real power",
  ),
  power: unary((x, n) => x ** n, (x, y, n) => powerSlope(x, n), "{c} * {a}**({c} - 1)", "not a real power"),
  neg: unary((x) => -x, () => -1, "-1.0"),
  tanh: unary(Math.tanh, (x, y) => 1 - y * y, "(1 - {y}**2)"),
  relu: unary((x) => (x < 0 ? 0 : x), (x, y) => (y > 0 ? 1 : 0), "({y} > 0)"),
  leaky_relu: unary((x, c) => (x < 0 ? c * x : x), (x, y, c) => (x > 0 ? 1 : c), "(1 if {a} > 0 else {c})"),
  sigmoid: unary(sigmoid, (x, y) => y * (1 - y), "{y} * (1 - {y})"),
  softplus: unary((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), sigmoid, "sigmoid({a})"),
  silu: unary(
    (x) => x * sigmoid(x),
    (x) => sigmoid(x) * (1 + x * sigmoid(-x)),
    "sigmoid({a}) * (1 + {a} * sigmoid(-{a}))",
  ),
  gelu: unary(
    (x) => 0.5 * x * erfc(-x / root2),
    (x) => 0.5 * erfc(-x / root2) + x * bell(x),
    "(Phi({a}) + {a} * phi({a}))",
  ),
  exp: unary(Math.exp, (x, y) => y, "{y}"),
  expm1: unary(Math.expm1, (x, y) => y + 1, "({y} + 1)"),
  log: unary(Math.log, (x) => 1 / x, "1 / {a}", "the logarithm needs a number above 0"),
  log1p: unary(Math.log1p, (x) => 1 / (1 + x), "1 / (1 + {a})", "log1p needs a number above -1"),
  sqrt: unary(Math.sqrt, (x, y) => 0.5 / y, "0.5 / {y}", "the root needs a number of at least 0"),
  abs: unary(Math.abs, (x) => Math.sign(x), "sign({a})"),
  sin: unary(Math.sin, Math.cos, "cos({a})"),
  cos: unary(Math.cos, (x) => -Math.sin(x), "-sin({a})"),
  tan: unary(Math.tan, (x, y) => 1 + y * y, "(1 + {y}**2)"),
  asin: unary(Math.asin, (x) => 1 / Math.sqrt((1 - x) * (1 + x)), "1 / sqrt(1 - {a}**2)", "needs a number from -1 to 1"),
  acos: unary(Math.acos, (x) => -1 / Math.sqrt((1 - x) * (1 + x)), "-1 / sqrt(1 - {a}**2)", "needs a number from -1 to 1"),
  atan: unary(Math.atan, (x) => 1 / (1 + x * x), "1 / (1 + {a}**2)"),
  sinh: unary(Math.sinh, Math.cosh, "cosh({a})"),
  cosh: unary(Math.cosh, Math.sinh, "sinh({a})"),
  asinh: unary(Math.asinh, (x) => 1 / Math.hypot(1, x), "1 / sqrt(1 + {a}**2)"),
  acosh: unary(Math.acosh, (x) => 1 / (Math.sqrt(x - 1) * Math.sqrt(x + 1)), "1 / sqrt({a}**2 - 1)", "needs a number of at least 1"),
  atanh: unary(Math.atanh, (x) => 1 / ((1 - x) * (1 + x)), "1 / (1 - {a}**2)", "needs a number between -1 and 1"),
  erf: unary(erf, (x) => twoOverRootPi * Math.exp(-x * x), "2 / sqrt(pi) * exp(-{a}**2)"),
  erfc: unary(erfc, (x) => -twoOverRootPi * Math.exp(-x * x), "-2 / sqrt(pi) * exp(-{a}**2)"),
  maximum: binary(Math.max, (a, b) => [larger(a, b), larger(b, a)], ["({a} > {b})", "({b} > {a})"]),
  minimum: binary(Math.min, (a, b) => [larger(b, a), larger(a, b)], ["({a} < {b})", "({b} < {a})"]),
  log_cosh: unary(
    (x) => Math.abs(x) + Math.log1p(Math.exp(-2 * Math.abs(x))) - Math.LN2,
    Math.tanh,
    "tanh({a})",
  ),
};

/** What other classes call the same; lower case. A wrong guess does no harm: numbers decide. */
const ALIASES = {
  add: "+", plus: "+", sum: "+", mul: "*", times: "*", multiply: "*", "×": "*", sub: "-", minus: "-", subtract: "-",
  div: "/", truediv: "/", divide: "/", pow: "**", "^": "**", negate: "neg", negative: "neg", unary_minus: "neg",
  σ: "sigmoid", logistic: "sigmoid", leakyrelu: "leaky_relu", ln: "log", swish: "silu", max: "maximum", min: "minimum",
  arcsin: "asin", arccos: "acos", arctan: "atan", arcsinh: "asinh", arccosh: "acosh", arctanh: "atanh",
};

/** The candidates for an op's rule, as pairs of a rule and its constant. */
function rulesFor(op, operands, constant) {
  const name = op.toLowerCase().trim();
  const found = [];
  const power = /^(?:\*\*|\^|pow)\s*\(?\s*([-+]?[\d.]+(?:e[-+]?\d+)?)\s*\)?$/.exec(name);
  if (power && operands === 1) found.push([RULES.power, Number(power[1])]);
  if (name === "-" && operands === 1) found.push([RULES.neg, null]);
  const key = Object.hasOwn(ALIASES, name) ? ALIASES[name] : name;
  if (key === "leaky_relu" && constant === null) return found; // its slope below 0 does not show
  if (Object.hasOwn(RULES, key) && key !== "power") found.push([RULES[key], constant]);
  return found;
}
