// The graph: its numbers forward and backward, and what each step does.
//
// Nodes are numbered in topological order, operands first. The time line has one position for each operation forward,
// one that sets the root's gradient to 1, and one for each operation backward, in the order in which the class visits
// them: `at(position)` gives the whole state.

const RIGHT_TO_LEFT = /[\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufefc]|[\ud802\ud803\ud83a\ud83b]/;

const close = (a, b) =>
  Object.is(a, b) || Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b)) + 1e-13 || (a !== a && b !== b);

class Graph {
  constructor(given) {
    this.count = given.data.length;
    this.root = this.count - 1;
    this.labels = given.labels;
    this.ops = given.ops;
    this.recorded = Float64Array.from(given.data, number);
    this.data = this.recorded.slice();
    this.operands = given.operands;
    this.local = given.local.map((each) => each && each.map(number)); // for each different operand, or null
    this.constants = given.constants;
    this.ordered = given.ordered;
    this.backward = given.backward;
    this.parameters = new Set(given.chosen);
    this.consumers = Array.from({ length: this.count }, () => []);
    for (let node = 0; node < this.count; node += 1) {
      for (const operand of new Set(this.operands[node])) this.consumers[operand].push(node);
    }
    this.operations = [];
    this.leaves = [];
    for (let node = 0; node < this.count; node += 1) (this.operands[node].length ? this.operations : this.leaves).push(node);
    this.rules = Array.from({ length: this.count }, (_, node) => this.#rule(node));
    this.#findFixed();
    this.last = 2 * this.operations.length + 1;
  }

  isLeaf(node) {
    return this.operands[node].length === 0;
  }

  /** Whether somebody gave it a label; parameters of a model have their names from the model. */
  isNamed(node) {
    return this.labels[node] !== "" && !this.parameters.has(node);
  }

  /** A node's name, which turns nothing around it where it is written from right to left. */
  name(node) {
    const name = this.labels[node] || `v${node}`;
    return RIGHT_TO_LEFT.test(name) ? `\u2068${name}\u2069` : name;
  }

  /** The rule that gives what was recorded, with the operands in its order; null where none does. */
  #rule(node) {
    const given = this.operands[node];
    if (!given.length) return null;
    const orders = [given];
    if (given.length === 1 && this.ops[node] !== "**") orders.push([given[0], given[0]]); // operands in a set: a * a
    if (given.length === 2 && !this.ordered) orders.push([given[1], given[0]]);
    for (const operands of orders) {
      for (const [rule, constant] of rulesFor(this.ops[node], operands.length, this.constants[node] ?? null)) {
        if (rule.arity !== null && rule.arity !== operands.length) continue;
        const x = operands.map((each) => this.recorded[each]);
        const slopes = rule.slopes(x, this.recorded[node], constant);
        if (close(rule.value(x, constant), this.recorded[node]) && this.#agrees(node, operands, slopes)) {
          return { rule, operands, constant };
        }
      }
    }
    return null;
  }

  /** Whether a rule has the op's name and another number than was recorded, as after data was set. */
  isOff(node) {
    const given = this.operands[node];
    const data = (operands) => operands.map((each) => this.recorded[each]);
    const found = rulesFor(this.ops[node], given.length, this.constants[node] ?? null).filter(
      ([rule]) => rule.arity === null || rule.arity === given.length,
    );
    return found.length > 0 && found.every(([rule, constant]) =>
      [given, [...given].reverse()].every((each) => !close(rule.value(data(each), constant), this.recorded[node])),
    );
  }

  #agrees(node, operands, slopes) {
    const local = this.local[node];
    if (!local) return true;
    return [...new Set(this.operands[node])].every((operand, k) => {
      let sum = 0;
      operands.forEach((each, j) => (sum += each === operand ? slopes[j] : 0));
      return close(sum, local[k]);
    });
  }

  /** Which nodes cannot change, because something computed from them has no rule; which gradients nobody knows. */
  #findFixed() {
    this.fixedBy = new Int32Array(this.count).fill(-1); // the nearest node without a rule
    this.gradKnown = new Uint8Array(this.count).fill(1);
    for (let node = this.count - 1; node >= 0; node -= 1) {
      const without = !this.isLeaf(node) && !this.rules[node];
      for (const operand of this.operands[node]) {
        if (without) this.fixedBy[operand] = node;
        else if (this.fixedBy[node] >= 0 && this.fixedBy[operand] < 0) this.fixedBy[operand] = this.fixedBy[node];
        if (!this.gradKnown[node] || (without && !this.local[node])) this.gradKnown[operand] = 0;
      }
    }
  }

  /** How often a node is an operand: twice in a * a. */
  uses(node) {
    const among = (consumer) => (this.rules[consumer]?.operands ?? this.operands[consumer]).filter((each) => each === node);
    return this.consumers[node].reduce((sum, consumer) => sum + among(consumer).length, 0);
  }

  /** Local derivatives: [operand, slope, text], one for each use of an operand. */
  slopes(node, data = this.data) {
    const found = this.rules[node];
    if (!found) {
      const local = this.local[node];
      return [...new Set(this.operands[node])].map((operand, k) => [operand, local ? local[k] : NaN, null]);
    }
    const { rule, operands, constant } = found;
    const x = operands.map((each) => data[each]);
    const recorded = this.#recordedSlopes(node, operands, data);
    return (recorded ?? rule.slopes(x, data[node], constant)).map((slope, k) => [operands[k], slope, rule.texts[k] ?? rule.texts[0]]);
  }

  /** The node's own derivatives where its numbers are those that were recorded: functions differ in their last bits. */
  #recordedSlopes(node, operands, data) {
    const given = [...new Set(this.operands[node])];
    const isRecorded = (each) => Object.is(data[each], this.recorded[each]);
    if (!this.local[node] || given.length < operands.length || !isRecorded(node) || !operands.every(isRecorded)) return null;
    return operands.map((operand) => this.local[node][given.indexOf(operand)]);
  }

  /** All numbers from the leaves up. */
  forward(data = this.data, changed = null) {
    for (const node of this.operations) {
      const found = this.rules[node];
      if (found && node !== changed) data[node] = found.rule.value(found.operands.map((each) => data[each]), found.constant);
    }
    return data;
  }

  set(leaf, value) {
    this.data[leaf] = value;
    this.forward();
  }

  /** As it was recorded. */
  reset() {
    this.data.set(this.recorded);
  }

  /** The first operation whose result is no finite number though its operands are, or -1. */
  trouble() {
    const wrong = (node) =>
      !Number.isFinite(this.data[node]) && this.operands[node].every((each) => Number.isFinite(this.data[each]));
    return this.operations.find(wrong) ?? -1;
  }

  /** Gradients of everything. */
  gradients(data = this.data) {
    const grad = new Float64Array(this.count);
    grad[this.root] = 1;
    for (const node of this.backward) {
      for (const [operand, slope] of this.slopes(node, data)) grad[operand] += slope * grad[node];
    }
    return grad;
  }

  /** What a position of the time line is about: [kind, node]. */
  step(position) {
    const forward = this.operations.length;
    if (position === 0) return ["start", -1];
    if (position <= forward) return ["forward", this.operations[position - 1]];
    if (position === forward + 1) return ["seed", this.root];
    return ["backward", this.backward[position - forward - 2]];
  }

  /** The state at a position: how many operations are computed, gradients, and what the last step added to what. */
  at(position) {
    const forward = this.operations.length;
    const grad = new Float64Array(this.count);
    const added = new Int32Array(this.count); // how many terms each gradient has
    const seeded = position > forward;
    let terms = [];
    if (seeded) {
      grad[this.root] = 1;
      added[this.root] = 1;
    }
    for (let done = forward + 2; done <= position; done += 1) {
      const node = this.backward[done - forward - 2];
      terms = this.slopes(node).map(([operand, slope, text]) => {
        const before = grad[operand];
        grad[operand] += slope * grad[node];
        added[operand] += 1;
        return { operand, slope, text, before, after: grad[operand], isFirst: added[operand] === 1 };
      });
    }
    const [kind, node] = this.step(position);
    const computed = Math.min(position, forward);
    const border = computed < forward ? this.operations[computed] : this.count; // operations from here on are not yet
    return { position, kind, node, grad, added, seeded, terms, isComputed: (each) => each < border || this.isLeaf(each) };
  }

  /** The root when a node's number is another: for the numerical derivative. */
  rootWith(node, value) {
    const data = this.data.slice();
    data[node] = value;
    return this.forward(data, node)[this.root];
  }
}
