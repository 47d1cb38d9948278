// What is to be drawn: one box for each node or collapsed group, the edges between, and which of them a view shows.

const BOX_WIDTH = 142;
const BOX_HEIGHT = 64;
const CELL = 700; // of the grid by which boxes and edges of a view are found

class Scene {
  constructor(graph, groups) {
    this.graph = graph;
    this.groups = groups; // {title, kind, parent, members}: members of the innermost group only
    this.collapsed = groups.map(() => false);
    this.groupOf = new Int32Array(graph.count).fill(-1);
    groups.forEach((group, k) => group.members.forEach((node) => (this.groupOf[node] = k)));
    this.arrange();
  }

  /** The outermost collapsed group that holds a node, or -1. */
  #hiding(node) {
    let found = -1;
    for (let k = this.groupOf[node]; k >= 0; k = this.groups[k].parent) if (this.collapsed[k]) found = k;
    return found;
  }

  /** Whether all that uses a leaf without a name of its own is in collapsed groups: it is not drawn. */
  #isAbsorbed(node) {
    const { graph } = this;
    const users = graph.consumers[node];
    return graph.isLeaf(node) && !graph.isNamed(node) && users.length > 0 && users.every((each) => this.#hiding(each) >= 0);
  }

  /** Boxes, edges and places, after groups were collapsed or opened. */
  arrange() {
    const { graph } = this;
    this.boxOf = new Int32Array(graph.count);
    this.boxes = []; // {node} or {group, nodes, outputs}
    const ofGroup = new Map();
    const absorbed = new Set();
    for (let node = 0; node < graph.count; node += 1) {
      let group = this.#hiding(node);
      if (group < 0 && this.#isAbsorbed(node)) {
        absorbed.add(node);
        group = this.#hiding(graph.consumers[node][0]);
      }
      if (group < 0) {
        this.boxOf[node] = this.boxes.push({ node, group: -1, nodes: [node] }) - 1;
      } else {
        if (!ofGroup.has(group)) ofGroup.set(group, this.boxes.push({ node: -1, group, nodes: [] }) - 1);
        this.boxOf[node] = ofGroup.get(group);
        this.boxes[this.boxOf[node]].nodes.push(node);
      }
    }
    const seen = new Set();
    this.edges = [];
    for (let node = 0; node < graph.count; node += 1) {
      for (const operand of graph.operands[node]) {
        if (absorbed.has(operand)) continue;
        const [from, to] = [this.boxOf[operand], this.boxOf[node]];
        const key = from * this.boxes.length + to;
        if (from !== to && !seen.has(key)) {
          seen.add(key);
          this.edges.push([from, to]);
        }
      }
    }
    for (const box of this.boxes) {
      const outside = (node) => node === graph.root || graph.consumers[node].some((each) => this.boxOf[each] !== this.boxOf[node]);
      box.outputs = box.node >= 0 ? [box.node] : box.nodes.filter((node) => !graph.isLeaf(node) && outside(node));
    }
    Object.assign(this, layout(this.boxes.length, this.edges));
    this.#index();
  }

  #index() {
    const none = { left: 0, right: BOX_WIDTH, top: 0, bottom: BOX_HEIGHT };
    this.bounds = this.boxes.length ? { left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity } : none;
    this.cells = new Map(); // "column row" -> {boxes, edges}
    this.large = []; // edges over many cells
    const cell = (column, row) => {
      const key = `${column} ${row}`;
      if (!this.cells.has(key)) this.cells.set(key, { boxes: [], edges: [] });
      return this.cells.get(key);
    };
    this.boxes.forEach((_, box) => {
      const [x, y] = [this.x[box], this.y[box]];
      cell(Math.floor(x / CELL), Math.floor(y / CELL)).boxes.push(box);
      this.bounds.left = Math.min(this.bounds.left, x - BOX_WIDTH / 2 - 34);
      this.bounds.right = Math.max(this.bounds.right, x + BOX_WIDTH / 2 + 10);
      this.bounds.top = Math.min(this.bounds.top, y - BOX_HEIGHT / 2 - 10);
      this.bounds.bottom = Math.max(this.bounds.bottom, y + BOX_HEIGHT / 2 + 10);
    });
    this.edges.forEach(([from, to], edge) => {
      const points = [[this.x[from], this.y[from]], ...this.ways[edge], [this.x[to], this.y[to]]];
      const found = new Set();
      for (let k = 1; k < points.length; k += 1) {
        const columns = [points[k - 1][0], points[k][0]].map((each) => Math.floor(each / CELL)).sort((a, b) => a - b);
        const rows = [points[k - 1][1], points[k][1]].map((each) => Math.floor(each / CELL)).sort((a, b) => a - b);
        if ((columns[1] - columns[0] + 1) * (rows[1] - rows[0] + 1) > 64) {
          this.large.push(edge);
          return;
        }
        for (let column = columns[0]; column <= columns[1]; column += 1) {
          for (let row = rows[0]; row <= rows[1]; row += 1) found.add(cell(column, row));
        }
      }
      for (const each of found) each.edges.push(edge);
    });
  }

  /** Boxes and edges that meet a rectangle, or some more. */
  within(left, top, right, bottom) {
    const boxes = [];
    const edges = new Set(this.large);
    const take = (each) => {
      for (const box of each.boxes) boxes.push(box);
      for (const edge of each.edges) edges.add(edge);
    };
    const across = [left - BOX_WIDTH, right + BOX_WIDTH].map((each) => Math.floor(each / CELL));
    const down = [top - BOX_HEIGHT, bottom + BOX_HEIGHT].map((each) => Math.floor(each / CELL));
    if ((across[1] - across[0] + 1) * (down[1] - down[0] + 1) > this.cells.size) {
      for (const each of this.cells.values()) take(each);
    } else {
      for (let column = across[0]; column <= across[1]; column += 1) {
        for (let row = down[0]; row <= down[1]; row += 1) {
          const each = this.cells.get(`${column} ${row}`);
          if (each) take(each);
        }
      }
    }
    return { boxes, edges };
  }

  /** The box at a point, or -1. */
  at(x, y) {
    const inside = (box) => Math.abs(this.x[box] - x) <= BOX_WIDTH / 2 + 4 && Math.abs(this.y[box] - y) <= BOX_HEIGHT / 2 + 4;
    return this.within(x, y, x, y).boxes.find(inside) ?? -1;
  }

  /** Collapse or open groups of a kind; those inside a collapsed one count as well. */
  fold(isCollapsed, chosen = () => true) {
    this.groups.forEach((group, k) => {
      if (chosen(group, k)) this.collapsed[k] = isCollapsed;
    });
    this.arrange();
  }

  /** The innermost group of a node that is open, or the collapsed one that hides it; -1 where it is in none. */
  groupToFold(node) {
    const hiding = this.#hiding(node);
    return hiding >= 0 ? hiding : this.groupOf[node];
  }
}
