// Numbers and rules as text.

const MINUS = "\u2212";

/** Four places, as in the pictures; fewer for whole numbers; scientific where that would be a long row of digits. */
function short(x) {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : `${MINUS}inf`;
  const size = Math.abs(x);
  const text = size >= 1e6 || (size > 0 && size < 1e-4) ? x.toExponential(3) : x.toFixed(4);
  return text.replace("-", MINUS).replace("e-", `e${MINUS}`);
}

/** A number inside a formula: no more digits than it has, negative ones in parentheses. */
function inFormula(x) {
  const text = Number.isInteger(x) && Math.abs(x) < 1e6 ? String(x) : short(x);
  return x < 0 ? `(${text.replace("-", MINUS)})` : text;
}

/** Every digit, as Python writes it. */
function full(x) {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (Number.isInteger(x) && Math.abs(x) < 1e16) return Object.is(x, -0) ? "-0.0" : `${x}.0`;
  return String(x).replace(/e([+-])(\d)$/, "e$10$2");
}

/** At most so many letters, of the end: ends tell long names apart. */
const ending = (text, most) => (text.length > most ? `…${text.slice(1 - most)}` : text);

const filled = (text, values) => text.replace(/\{(\w)\}/g, (_, name) => values[name]);

/** A node's name in a formula: in parentheses where it is an expression itself. */
const inRule = (graph, node) => (/^[\w.[\]]+$/u.test(graph.name(node)) ? graph.name(node) : `(${graph.name(node)})`);

/** A result in a line: `c = a * b = 2 * (-3) = -6`. */
function forwardText(graph, node) {
  const found = graph.rules[node];
  const name = graph.name(node);
  const operands = found ? found.operands : graph.operands[node];
  const written = (show) => {
    const parts = operands.map(show);
    const op = graph.ops[node];
    if (!found) return `${op || "its operation"}(${parts.join(", ")})`;
    if (found.rule === RULES.power) return `${parts[0]}**${inFormula(found.constant)}`;
    if (found.rule === RULES.neg) return `-${parts[0]}`;
    const sign = Object.keys(RULES).find((key) => RULES[key] === found.rule);
    const bare = (part) => part.replace(/^\((\u2212[^()]*)\)$/, "$1"); // a call has parentheses of its own
    return /^\W+$/.test(sign) ? parts.join(` ${sign} `) : `${sign}(${parts.map(bare).join(", ")})`;
  };
  return `${name} = ${written((each) => inRule(graph, each))} = ${written((each) => inFormula(graph.data[each]))} = ${short(graph.data[node])}`;
}

/** A slope as the rule writes it, and with its numbers. */
function slopeTexts(graph, node, slope, text) {
  const found = graph.rules[node];
  if (!found || text === null) return ["(local derivative)", inFormula(slope)];
  const [a, b] = found.operands;
  const c = found.constant === null ? "" : inFormula(found.constant);
  const names = { a: `${inRule(graph, a)}.data`, b: `${inRule(graph, b ?? a)}.data`, y: `${inRule(graph, node)}.data`, c };
  const numbers = { a: inFormula(graph.data[a]), b: inFormula(graph.data[b ?? a]), y: inFormula(graph.data[node]), c };
  return [filled(text, names), filled(text, numbers)];
}

/** One line of a rule: `a.grad += b.data * c.grad = -3 * 1.2 = -3.6`. */
function termText(graph, node, term, gradOfNode) {
  const [rule, numbers] = slopeTexts(graph, node, term.slope, term.text);
  const target = inRule(graph, term.operand);
  return {
    rule: `${target}.grad += ${rule} * ${inRule(graph, node)}.grad`,
    numbers: `${numbers} * ${inFormula(gradOfNode)} = ${short(term.slope * gradOfNode)}`,
  };
}

/** What a position of the time line does: a title, lines, and a sentence for those who listen. */
function stepText(graph, state) {
  const node = state.node;
  if (state.kind === "start") {
    return { title: "Start", lines: [{ rule: "The leaves have their numbers. Nothing is computed yet." }], said: "Start. Only the leaves have numbers." };
  }
  if (state.kind === "forward") {
    const line = forwardText(graph, node);
    return { title: `Forward: ${graph.name(node)}`, lines: [{ rule: line }], said: `Forward: ${line}` };
  }
  if (state.kind === "seed") {
    const line = `${inRule(graph, node)}.grad = 1.0`;
    return {
      title: "Backward begins at the root",
      lines: [{ rule: line, note: "The derivative of the root by itself is 1." }],
      said: `Backward begins: ${line}`,
    };
  }
  const gradOfNode = state.grad[node];
  const lines = state.terms.map((term) => {
    const line = termText(graph, node, term, gradOfNode);
    if (!term.isFirst) {
      line.note = `adds up (+=): ${short(term.before)} becomes ${short(term.after)}, ` +
        `for ${graph.name(term.operand)} is used ${graph.uses(term.operand)} times`;
    }
    return line;
  });
  if (!graph.rules[node]) {
    const known = graph.local[node] ? "its local derivatives are those that its own rule gave" : "its local derivatives are not known";
    lines.push({ rule: "", note: `The page has no rule for ${graph.ops[node] || "this operation"}: ${known}.` });
  }
  const said = lines.map((line) => `${line.rule} = ${line.numbers ?? ""} ${line.note ?? ""}`).join(". ");
  return { title: `Backward: ${graph.name(node)} (${graph.ops[node] || "operation"})`, lines, said: `Backward through ${graph.name(node)}: ${said}` };
}
