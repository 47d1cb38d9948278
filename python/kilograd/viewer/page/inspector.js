// What is known of the selected node, and what can be done with it: slider, nudge, choice for the descent.

const NUDGE = 0.001;

class Inspector {
  constructor(app, title, body) {
    this.app = app;
    this.title = title;
    this.body = body;
  }

  /** Another node is selected: everything anew. */
  rebuild() {
    const { app, body } = this;
    const { graph, selected: node } = app;
    body.replaceChildren();
    if (node < 0) {
      this.title.textContent = "No node selected";
      body.append(make("p", { class: "note" }, "Click on a node, or press Shift with an arrow key."));
      return;
    }
    this.title.textContent = graph.name(node);
    this.data = make("dd", { class: "code forward", id: "node-data" });
    this.grad = make("dd", { class: "code backward", id: "node-grad" });
    const facts = [
      ["data", this.data],
      ["grad", this.grad],
      ["made by", make("dd", { id: "node-op" }, graph.isLeaf(node) ? "nothing: a leaf" : graph.ops[node] || "an operation without a name")],
      ["order", make("dd", {}, `${node} of 0 … ${graph.count - 1}`)],
    ];
    body.append(make("dl", { class: "facts" }, ...facts.flatMap(([name, dd]) => [make("dt", {}, name), dd])));
    this.#links("computed from", [...new Set(graph.operands[node])]);
    this.#links("used by", graph.consumers[node]);
    if (!app.quiz) {
      if (graph.isLeaf(node)) this.#slider(node);
      this.#nudge(node);
    } else {
      this.slide = this.typed = null;
    }
    this.refresh();
  }

  #links(title, nodes) {
    if (!nodes.length) return;
    const { app } = this;
    const buttons = nodes.slice(0, 60).map((node) =>
      make("button", { type: "button", "data-go": node, onclick: () => app.select(node) }, app.graph.name(node)),
    );
    const more = nodes.length > 60 ? [make("span", {}, `and ${nodes.length - 60} more`)] : [];
    this.body.append(make("div", { class: "row" }, make("span", { class: "note" }, title), make("div", { class: "links" }, ...buttons, ...more)));
  }

  #slider(leaf) {
    const { app } = this;
    const { graph } = app;
    const name = graph.name(leaf);
    const value = Number.isFinite(graph.data[leaf]) ? graph.data[leaf] : 0; // inf and nan: sliders begin at 0
    const reach = Math.max(1, 2 * Math.abs(value));
    const isFixed = graph.fixedBy[leaf] >= 0;
    const slide = make("input", {
      type: "range", id: "slide", "aria-label": `Number of ${name}`, disabled: isFixed,
      min: value - reach, max: value + reach, step: reach / 200,
    });
    const typed = make("input", { type: "number", id: "typed", step: "any", "aria-label": `Number of ${name}, typed`, disabled: isFixed });
    const set = (text) => {
      const given = Number(text);
      if (text !== "" && Number.isFinite(given)) app.setLeaf(leaf, given);
    };
    slide.addEventListener("input", () => set(slide.value));
    typed.addEventListener("change", () => set(typed.value));
    [this.slide, this.typed] = [slide, typed];
    this.body.append(make("div", { class: "row" }, slide, typed));
    if (isFixed) {
      const by = graph.fixedBy[leaf];
      const text = `This number cannot be changed here: the page has no rule for ${graph.ops[by] || "the operation"} (${graph.name(by)}), which comes after it.`;
      this.body.append(make("p", { class: "note", id: "fixed" }, text));
    }
    const box = make("input", { type: "checkbox", id: "choose", disabled: isFixed });
    box.checked = app.chosen.has(leaf);
    box.addEventListener("change", () => app.choose(leaf, box.checked));
    this.box = box;
    this.body.append(make("label", { class: "row" }, box, "moves in gradient descent"));
  }

  #nudge(node) {
    const { app } = this;
    const { graph } = app;
    if (graph.isLeaf(node)) this.result = null;
    else [this.slide, this.typed, this.box] = [null, null, null];
    const isFixed = graph.fixedBy[node] >= 0;
    const button = make("button", { type: "button", id: "nudge", disabled: isFixed, onclick: () => this.nudge(node) }, `Nudge by h = ${NUDGE}`);
    this.result = make("div", { id: "nudged", "aria-live": "polite" });
    this.body.append(make("div", { class: "row" }, button), this.result);
  }

  /** Compare the numerical derivative with the gradient. */
  nudge(node = this.app.selected) {
    const { graph, quiz } = this.app;
    if (node < 0 || quiz || graph.fixedBy[node] >= 0) return;
    const root = graph.name(graph.root);
    const before = graph.data[graph.root];
    const after = graph.rootWith(node, graph.data[node] + NUDGE);
    const slope = (after - before) / NUDGE;
    const central = (after - graph.rootWith(node, graph.data[node] - NUDGE)) / (2 * NUDGE);
    const grad = graph.gradKnown[node] ? graph.gradients()[node] : NaN;
    const lines = [
      `${root} = ${short(before)} becomes ${after.toPrecision(9)}`,
      `(${after.toPrecision(9)} − ${before.toPrecision(9)}) / ${NUDGE} = ${slope.toPrecision(6)}`,
      `to both sides: ${central.toPrecision(6)}`,
      `the gradient: ${grad.toPrecision(6)}`,
    ];
    const agrees = Math.abs(central - grad) <= 1e-3 * Math.max(1, Math.abs(grad));
    const verdict = agrees
      ? "They agree."
      : "They differ: the function bends or has a kink within h, or a rule is wrong.";
    this.result.replaceChildren(...lines.map((line) => make("div", { class: "code" }, line)), make("p", { class: "note" }, verdict));
    this.result.dataset.slope = slope;
    this.result.dataset.central = central;
    this.result.dataset.grad = grad;
  }

  /** The same node, other numbers. */
  refresh() {
    const { app } = this;
    const { graph, selected: node } = app;
    if (node < 0) return;
    this.data.textContent = app.state.isComputed(node) ? full(graph.data[node]) : "not computed yet";
    this.grad.textContent = app.grad(node)[1];
    if (!this.slide) return;
    const value = graph.data[node];
    this.box.checked = app.chosen.has(node);
    if (!Number.isFinite(value)) {
      this.typed.value = "";
      return;
    }
    if (document.activeElement !== this.slide || Number(this.slide.value) !== value) this.slide.value = value;
    if (document.activeElement !== this.typed) this.typed.value = value;
  }

  /** Numbers changed: what a nudge found holds no more. */
  forget() {
    this.result?.replaceChildren();
  }
}
