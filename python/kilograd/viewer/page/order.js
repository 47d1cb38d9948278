// The list of all nodes in topological order, of which only the rows in view are in the document.

const ROW = 26;

class Order {
  constructor(app, list) {
    this.app = app;
    this.list = list;
    this.space = make("p", { "aria-hidden": "true" });
    this.space.style.cssText = `margin:0;height:${app.graph.count * ROW}px`;
    list.append(this.space);
    list.addEventListener("scroll", () => this.refresh());
    list.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("click", (event) => {
      const row = event.target.closest("[data-node]");
      if (row) app.select(Number(row.dataset.node));
    });
    new ResizeObserver(() => this.refresh()).observe(list);
  }

  #key(event) {
    if (event.shiftKey || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
    event.preventDefault();
    event.stopPropagation();
    const { app } = this;
    const next = app.selected < 0 ? 0 : app.selected + (event.key === "ArrowDown" ? 1 : -1);
    if (next >= 0 && next < app.graph.count) app.select(next);
  }

  /** Scroll to a node, where it is out of sight. */
  show(node) {
    const { list } = this;
    if (node * ROW < list.scrollTop) list.scrollTop = node * ROW;
    else if ((node + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = (node + 1) * ROW - list.clientHeight;
  }

  refresh() {
    const { app, list } = this;
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 2);
    const last = Math.min(app.graph.count, first + Math.ceil(list.clientHeight / ROW) + 4);
    const rows = [];
    for (let node = first; node < last; node += 1) rows.push(this.#row(node));
    list.replaceChildren(this.space, ...rows);
    if (app.selected >= first && app.selected < last) list.setAttribute("aria-activedescendant", `row-${app.selected}`);
    else list.removeAttribute("aria-activedescendant");
  }

  #row(node) {
    const { graph, state } = this.app;
    const op = graph.ops[node];
    const name = ending(graph.name(node), 11);
    const row = make(
      "div",
      {
        role: "option",
        id: `row-${node}`,
        "data-node": node,
        "aria-selected": node === this.app.selected ? "true" : "false",
        "aria-posinset": node + 1,
        "aria-setsize": graph.count,
      },
      make("span", {}, String(node)),
      make("span", {}, graph.isLeaf(node) ? name : `${name}  ${op}`),
      make("span", { class: "forward", title: "data" }, state.isComputed(node) ? short(graph.data[node]) : "·"),
      make("span", { class: "backward", title: "grad" }, this.app.grad(node)[0]),
    );
    row.style.top = `${node * ROW}px`;
    if (node === state.node) row.classList.add("active");
    return row;
  }
}
