// The page of a graph: what is selected, where the time line stands, and which control does what.

const INSET = 48; // height of the buttons over the picture, with their margin

class App {
  constructor(given) {
    this.graph = new Graph(given);
    this.scene = new Scene(this.graph, given.groups);
    if (this.graph.count > 150) this.scene.fold(true, (group) => group.kind === "neuron");
    this.selected = -1;
    const free = (leaf) => this.graph.fixedBy[leaf] < 0;
    this.candidates = this.graph.leaves.filter(free);
    const labelled = this.candidates.filter((leaf) => this.graph.labels[leaf]);
    this.chosen = new Set(given.quiz ? [] : given.chosen ? given.chosen.filter(free) : labelled);
    this.position = this.graph.operations.length;
    this.state = this.graph.at(this.position);
    this.quiz = null;
    this.playing = 0;
    this.losses = [];
    this.onNumbers = () => {}; // after leaves have moved
    this.picture = new Picture(byId("picture"), this.scene);
    this.picture.grad = (node) => this.grad(node);
    this.picture.marked = this.chosen;
    this.picture.onPick = (box) => {
      const { node, outputs, nodes } = this.scene.boxes[box];
      this.select(node >= 0 ? node : outputs[0] ?? nodes[0]);
      byId("picture").focus({ preventScroll: true });
    };
    this.inspector = new Inspector(this, byId("node-title"), byId("node"));
    this.order = new Order(this, byId("order"));
    if (given.quiz) this.quiz = new Quiz(this, byId("quiz"));
    byId("descent").hidden = Boolean(given.quiz) || !this.graph.leaves.length;
    byId("step").hidden = Boolean(given.quiz);
    this.#foldButtons();
    this.#noteRules();
    this.inspector.rebuild();
    this.refresh();
    this.#look();
    this.quiz?.begin();
  }

  /** How the page opens: the whole graph where its boxes have text, else its root and what is before it. */
  #look() {
    this.picture.fit();
    if (this.picture.scale < TEXT_FROM) this.picture.showLast(this.graph.root);
  }

  // Numbers

  /** The gradient of a node as it is to be shown: short, in full, and whether it is there. */
  grad(node) {
    const { graph, state, quiz } = this;
    if (quiz && !quiz.isDone()) {
      if (quiz.isHidden(node)) return ["?", "to be filled in", false];
      return [short(quiz.answers[node]), full(quiz.answers[node]), true];
    }
    if (!graph.gradKnown[node] && state.seeded) return ["?", "not known: an operation after it has no rule", false];
    return [short(state.grad[node]), full(state.grad[node]), state.added[node] > 0];
  }

  setLeaf(leaf, value) {
    this.graph.set(leaf, value);
    this.#changed();
  }

  /** All leaves, as a program around the page has them. */
  setLeaves(numbers) {
    const { graph } = this;
    const moved = graph.leaves.filter((leaf, k) => !Object.is(graph.data[leaf], numbers[k]));
    const fixed = moved.find((leaf) => graph.fixedBy[leaf] >= 0);
    if (fixed !== undefined) {
      byId("notice").textContent = `${graph.name(fixed)} has another number in Python, and the page no rule for an operation after it: view the graph anew.`;
    } else if (moved.length) {
      graph.leaves.forEach((leaf, k) => (graph.data[leaf] = numbers[k]));
      graph.forward();
      this.#changed();
    }
  }

  #changed() {
    this.inspector.forget();
    this.#noteRules();
    this.state = this.graph.at(this.position);
    this.refresh();
    this.onNumbers();
  }

  reset() {
    this.graph.reset();
    this.losses = [];
    this.#changed();
  }

  choose(leaf, isChosen) {
    if (isChosen) this.chosen.add(leaf);
    else this.chosen.delete(leaf);
    this.refresh();
  }

  chooseAll(isChosen) {
    this.chosen.clear();
    if (isChosen) this.candidates.forEach((leaf) => this.chosen.add(leaf));
    this.refresh();
  }

  /** A step of gradient descent on the chosen leaves. */
  descend(rate) {
    const { graph } = this;
    const grad = graph.gradients();
    if (!this.losses.length) this.losses.push(graph.data[graph.root]);
    for (const leaf of this.chosen) if (graph.gradKnown[leaf]) graph.data[leaf] -= rate * grad[leaf];
    graph.forward();
    this.losses.push(graph.data[graph.root]);
    this.position = graph.last;
    this.#changed();
  }

  /** What the page cannot do with this graph, and numbers that left the range. */
  #noteRules() {
    const { graph } = this;
    const notice = byId("notice");
    const without = graph.operations.filter((node) => !graph.rules[node]);
    const trouble = graph.trouble();
    if (trouble >= 0) {
      const why = graph.rules[trouble]?.rule.pole;
      notice.textContent = `${graph.name(trouble)} = ${short(graph.data[trouble])}: ${graph.ops[trouble]} ${why ? `(${why})` : ""} has no finite result here, and kilograd may raise an error.`;
    } else if (without.length) {
      const names = [...new Set(without.map((node) => graph.ops[node] || "an operation without a name"))];
      const advice = without.some((node) => graph.isOff(node)) ? " Was data set after the result was computed? Then compute it anew." : "";
      notice.textContent = `No rule of this page gives the numbers of ${names.slice(0, 5).join(", ")}${names.length > 5 ? ", …" : ""}: they stay as recorded, and leaves below cannot be moved.${advice}`;
    } else {
      notice.textContent = "";
    }
  }

  // Steps

  get last() {
    return this.quiz && !this.quiz.isDone() ? this.graph.operations.length : this.graph.last;
  }

  go(position, how = {}) {
    const next = Math.max(0, Math.min(this.last, position));
    this.position = next;
    this.state = this.graph.at(next);
    this.refresh();
    if (this.state.node >= 0 && how.follow !== false) {
      this.picture.show([this.state.node, ...this.graph.operands[this.state.node]]);
      if (!this.playing) this.order.show(this.state.node);
      if (how.animate !== false) this.picture.animate();
    }
  }

  play(isOn = !this.playing) {
    clearTimeout(this.playing);
    this.playing = 0;
    if (isOn) {
      if (this.position >= this.last) this.go(0);
      const tick = () => {
        this.go(this.position + 1);
        if (this.position >= this.last) this.play(false);
        else this.playing = setTimeout(tick, Number(byId("speed").value));
      };
      this.playing = setTimeout(tick, 60);
    }
    showPlaying(isOn);
  }

  // Selection

  select(node) {
    this.selected = node;
    this.picture.selected = node;
    if (node >= 0) this.picture.show([node]);
    this.inspector.rebuild();
    this.quiz?.ask();
    if (node >= 0) this.order.show(node);
    this.refresh();
    byId("where").textContent = node < 0 ? "" : this.#spoken(node);
  }

  #spoken(node) {
    const { graph } = this;
    const kind = graph.isLeaf(node) ? "leaf" : `${graph.ops[node]} of ${graph.operands[node].map((each) => graph.name(each)).join(" and ")}`;
    const used = graph.consumers[node].map((each) => graph.name(each));
    const data = this.state.isComputed(node) ? short(graph.data[node]) : "not computed";
    const users = used.length > 4 ? `${used.length} nodes` : used.join(", ");
    return `${graph.name(node)}, ${kind}, data ${data}, grad ${this.grad(node)[0]}${users ? `, used by ${users}` : ", the root"}`;
  }

  /** From the selected node to a neighbour in the picture. */
  walk(way) {
    const { graph, scene } = this;
    if (this.selected < 0) return this.select(graph.root);
    const box = scene.boxOf[this.selected];
    const { nodes } = scene.boxes[box];
    const outside = (lists) => nodes.flatMap((node) => lists[node]).find((each) => scene.boxOf[each] !== box);
    if (way === "left" || way === "right") {
      const next = outside(way === "left" ? graph.operands : graph.consumers);
      return next === undefined ? undefined : this.select(next);
    }
    const beside = scene.boxes.map((_, each) => each).filter((each) => each !== box && scene.x[each] === scene.x[box]);
    const apart = (each) => (scene.y[each] - scene.y[box]) * (way === "down" ? 1 : -1);
    const [next] = beside.filter((each) => apart(each) > 0).sort((a, b) => apart(a) - apart(b));
    if (next === undefined) return undefined;
    const found = scene.boxes[next];
    return this.select(found.node >= 0 ? found.node : found.outputs[0] ?? found.nodes[0]);
  }

  /** Nodes whose label or operation has the text; the next one is selected. */
  search(text, goOn) {
    const wanted = text.trim().toLowerCase();
    const { graph } = this;
    const has = (node) => graph.name(node).toLowerCase().includes(wanted) || graph.ops[node].toLowerCase() === wanted;
    const found = wanted ? Array.from({ length: graph.count }, (_, node) => node).filter(has) : [];
    this.picture.matches = new Set(found);
    const next = goOn ? found.find((node) => node > this.selected) ?? found[0] : found.includes(this.selected) ? this.selected : found[0];
    byId("found").textContent = wanted ? (found.length ? `${found.indexOf(next) + 1} of ${found.length}` : "none") : "";
    if (next !== undefined && next !== this.selected) this.select(next);
    this.picture.request();
  }

  // Groups

  #foldButtons() {
    const kinds = [...new Set(this.scene.groups.map((group) => group.kind))];
    this.folders = kinds.map((kind) => {
      const button = make("button", { type: "button", "data-kind": kind, onclick: () => this.fold(kind) });
      return [kind, button];
    });
    byId("folding").replaceChildren(...this.folders.map(([, button]) => button));
    if (kinds.length) this.picture.inset = INSET;
    this.#labelFolders();
  }

  #labelFolders() {
    for (const [kind, button] of this.folders) {
      const isFolded = this.#isFolded(kind);
      button.textContent = `${isFolded ? "Open" : "Collapse"} ${kind}s`;
      button.setAttribute("aria-pressed", isFolded);
    }
  }

  #isFolded(kind) {
    return this.scene.groups.every((group, k) => group.kind !== kind || this.scene.collapsed[k]);
  }

  fold(kind) {
    const isCollapsed = !this.#isFolded(kind);
    this.#folded(() => this.scene.fold(isCollapsed, (group) => group.kind === kind));
  }

  foldAll() {
    const isCollapsed = !this.scene.collapsed.some(Boolean);
    this.#folded(() => this.scene.fold(isCollapsed));
  }

  foldSelected() {
    if (this.selected < 0) return;
    const group = this.scene.groupToFold(this.selected);
    if (group >= 0) this.#folded(() => this.scene.fold(!this.scene.collapsed[group], (_, k) => k === group));
  }

  #folded(change) {
    change();
    this.#labelFolders();
    this.#look();
    if (this.selected >= 0) this.picture.show([this.selected]);
    this.refresh();
  }

  // Showing

  refresh() {
    const { graph, state, picture } = this;
    picture.state = state;
    picture.request();
    const { title, lines, said } = stepText(graph, state);
    byId("step-title").textContent = title;
    byId("rule").replaceChildren(...lines.map((line) =>
      make("div", { class: "term" },
        make("div", { class: "code" }, line.rule),
        ...(line.numbers ? [make("div", { class: "code numbers" }, `= ${line.numbers}`)] : []),
        ...(line.note ? [make("div", { class: "note" }, line.note)] : [])),
    ));
    if (byId("said").textContent !== said) byId("said").textContent = said;
    const slider = byId("position");
    slider.max = this.last;
    slider.value = this.position;
    slider.setAttribute("aria-valuetext", title);
    byId("count").textContent = `${this.position} / ${this.last}`;
    for (const id of ["first", "back"]) byId(id).disabled = this.position === 0;
    for (const id of ["next", "final"]) byId(id).disabled = this.position === this.last;
    byId("chosen").textContent = `moves ${this.chosen.size} of ${graph.leaves.length} leaves (▼)`;
    byId("descend").disabled = byId("descend-ten").disabled = this.chosen.size === 0;
    byId("losses").textContent = this.losses.length ? `${graph.name(graph.root)}: ${this.losses.slice(-5).map(short).join(" → ")}` : "";
    this.inspector.refresh();
    this.order.refresh();
  }
}
