// Exercise mode: the learner fills in each gradient and is told right or wrong, and why.

class Quiz {
  constructor(app, section) {
    this.app = app;
    const { graph } = app;
    this.answers = graph.gradients();
    const isAsked = (node) => Number.isFinite(this.answers[node]) && graph.gradKnown[node] && (graph.labels[node] !== "" || !graph.isLeaf(node));
    this.asked = Array.from({ length: graph.count }, (_, k) => graph.count - 1 - k).filter(isAsked);
    this.tries = new Map(); // node -> wrong answers so far
    this.solved = new Map(); // node -> "first", "later", "shown"
    this.#build(section);
  }

  #build(section) {
    this.score = make("p", { id: "score", role: "status" });
    this.answer = make("input", { id: "answer", type: "text", inputmode: "text", autocomplete: "off", size: 12 });
    this.label = make("label", { for: "answer", class: "code" });
    this.check = make("button", { id: "check", type: "submit" }, "Check");
    this.reveal = make("button", { id: "reveal", type: "button", onclick: () => this.#show() }, "Show me");
    this.next = make("button", { id: "next-question", type: "button", onclick: () => this.#goOn() }, "Next");
    this.reason = make("div", { id: "reason", "aria-live": "polite" });
    const form = make("form", {}, make("div", { class: "row" }, this.label, this.answer), make("div", { class: "row" }, this.check, this.reveal, this.next));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#judge();
    });
    const hint = "A number or a product such as -3 * 0.5; three digits are enough.";
    section.replaceChildren(make("h2", { id: "quiz-title" }, "Fill in the gradients"), form, make("p", { class: "note" }, hint), this.reason, this.score);
    section.hidden = false;
  }

  isHidden(node) {
    return !this.solved.has(node) && this.asked.length > this.solved.size;
  }

  isDone() {
    return this.solved.size === this.asked.length;
  }

  begin() {
    this.app.select(this.asked[0] ?? this.app.graph.root);
  }

  /** Another node is selected. */
  ask() {
    const { graph, selected: node } = this.app;
    const isAsked = this.asked.includes(node);
    const open = isAsked && !this.solved.has(node);
    this.label.textContent = node < 0 ? "Choose a node" : `${graph.name(node)}.grad =`;
    for (const each of [this.answer, this.check, this.reveal]) each.disabled = !open;
    this.answer.value = this.solved.has(node) ? short(this.answers[node]) : "";
    this.reason.replaceChildren();
    if (node >= 0 && !isAsked) {
      const why = Number.isFinite(this.answers[node]) ? "it is a constant" : `it is ${short(this.answers[node])}`;
      this.reason.append(make("p", { class: "note" }, `Nobody asks for this one: ${why}.`));
    }
    this.#refresh();
  }

  #refresh() {
    const counts = [...this.solved.values()].reduce((all, how) => ({ ...all, [how]: (all[how] ?? 0) + 1 }), {});
    const { length } = this.asked;
    this.score.textContent = `${this.solved.size} of ${length} filled in, ${counts.first ?? 0} at the first try` + (this.isDone() ? ". That is all." : ".");
    this.next.disabled = this.isDone();
  }

  #goOn() {
    const open = this.asked.filter((node) => !this.solved.has(node));
    const after = open.find((node) => node < this.app.selected) ?? open[0];
    if (after === undefined) return;
    this.app.select(after);
    this.answer.focus();
  }

  #judge() {
    const { graph } = this.app;
    const node = this.app.selected;
    const given = evaluate(this.answer.value);
    if (given === null) {
      this.#say("wrong", "That is not a number.", []);
      return;
    }
    const right = this.answers[node];
    if (isNear(given, right)) {
      this.solved.set(node, this.tries.has(node) ? "later" : "first");
      this.#say("right", `✓ Right: ${short(right)}.`, this.#lines(node, true));
      this.#solvedOne();
      return;
    }
    this.tries.set(node, (this.tries.get(node) ?? 0) + 1);
    const waiting = graph.consumers[node].find((each) => this.isHidden(each));
    const first = waiting === undefined ? "" : ` Work out ${graph.name(waiting)}.grad first: it is a part of the rule.`;
    this.#say("wrong", `✗ Not ${short(given)}. ${this.#diagnosis(node, given)}${first}`, this.#lines(node, false));
    this.answer.select();
  }

  #show() {
    const node = this.app.selected;
    this.solved.set(node, "shown");
    this.answer.value = short(this.answers[node]);
    this.#say("right", `It is ${short(this.answers[node])}.`, this.#lines(node, true));
    this.#solvedOne();
  }

  #solvedOne() {
    for (const each of [this.answer, this.check, this.reveal]) each.disabled = true;
    this.#refresh();
    if (this.isDone()) this.app.go(this.app.graph.last, { follow: false, animate: false }); // where all gradients are
    else this.app.refresh();
    if (!this.isDone()) this.next.focus();
  }

  #say(kind, text, lines) {
    this.reason.replaceChildren(make("p", { class: `mark ${kind}` }, text), ...lines.map((line) => make("p", { class: "code" }, line)));
  }

  /** What each consumer adds: [consumer, slope, text, product]. */
  #terms(node) {
    const { graph } = this.app;
    return graph.consumers[node].flatMap((consumer) =>
      graph
        .slopes(consumer)
        .filter(([operand]) => operand === node)
        .map(([operand, slope, text]) => ({ operand, consumer, slope, text, product: slope * this.answers[consumer] })),
    );
  }

  /** The local rules with their numbers; results only where the question is answered. */
  #lines(node, withResult) {
    const { graph } = this.app;
    if (node === graph.root) return [`${graph.name(node)}.grad = 1.0: the derivative of the root by itself`];
    const terms = this.#terms(node);
    const lines = terms.map((term) => {
      const line = termText(graph, term.consumer, term, this.answers[term.consumer]);
      if (this.isHidden(term.consumer)) return line.rule;
      return `${line.rule} = ${withResult ? line.numbers : line.numbers.replace(/ = [^=]*$/, " = …")}`;
    });
    if (withResult && terms.length > 1) {
      lines.push(`together ${terms.map((term) => inFormula(term.product)).join(" + ")} = ${short(this.answers[node])}`);
    }
    return lines;
  }

  /** What a wrong answer tells. */
  #diagnosis(node, given) {
    const { graph } = this.app;
    const near = (x) => isNear(given, x);
    const name = graph.name(node);
    if (node === graph.root) return "The root's own gradient is where it begins.";
    const terms = this.#terms(node);
    const right = this.answers[node];
    if (given !== 0 && near(-right)) return "The sign is wrong.";
    if (terms.length > 1 && terms.some((term) => near(term.product))) {
      return `That is what one use adds; ${name} is used ${terms.length} times, and all of them add up (+=).`;
    }
    if (terms.length === 1) {
      const [{ consumer, slope }] = terms;
      const by = graph.name(consumer);
      if (near(slope)) return `That is the local derivative alone; the chain rule multiplies it by ${by}.grad.`;
      if (near(this.answers[consumer])) return `That is ${by}.grad alone; the chain rule multiplies it by the local derivative.`;
      if (near(graph.data[node] * this.answers[consumer]) && graph.ops[consumer] === "*") {
        return `The derivative of a product by ${name} is the other factor.`;
      }
    }
    if (near(graph.data[node])) return "That is its data, not its gradient.";
    return "The rule:";
  }
}

/** Whether an answer is right: to three digits, or four places; but 0 is no answer for a small number. */
function isNear(given, right) {
  return Math.abs(given - right) <= Math.min(5e-4, 0.5 * Math.abs(right)) + 1e-3 * Math.abs(right) + 1e-12;
}

/** The value of a small formula of numbers, + - * / ** and parentheses; null where it is none. */
function evaluate(text) {
  const tokens = text.replaceAll(MINUS, "-").replaceAll(",", ".").match(/\d+\.?\d*(?:e[-+]?\d+)?|\.\d+(?:e[-+]?\d+)?|\*\*|[-+*/()]|\S/gi) ?? [];
  let at = 0;
  const take = (token) => tokens[at] === token && (at += 1) > 0;
  const primary = () => {
    if (take("(")) {
      const value = sum();
      return take(")") ? value : NaN;
    }
    const value = /^[\d.]/.test(tokens[at] ?? "") ? Number(tokens[at]) : NaN;
    at += 1;
    return value;
  };
  const power = () => {
    const base = primary();
    return take("**") ? base ** signed() : base;
  };
  const signed = () => (take("-") ? -signed() : take("+") ? signed() : power());
  const product = () => {
    let value = signed();
    for (;;) {
      if (take("*")) value *= signed();
      else if (take("/")) value /= signed();
      else return value;
    }
  };
  const sum = () => {
    let value = product();
    for (;;) {
      if (take("+")) value += product();
      else if (take("-")) value -= product();
      else return value;
    }
  };
  const value = sum();
  return at === tokens.length && Number.isFinite(value) ? value : null;
}
