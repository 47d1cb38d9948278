// The picture: a scene on a canvas, as far as it is in view, with zoom and pan.

const READABLE = 0.75; // the least scale at which a step is shown
const OVERVIEW = 0.6; // the scale at which the end of a large graph is shown
const TEXT_FROM = 0.4; // the scale from which boxes have text
const MOVE_TIME = 380; // milliseconds in which numbers travel along an edge
const OP_FONT = "600 12px system-ui, sans-serif";
const OP_WIDTH = 56; // at most
const DIRECT_BELOW = 0.15; // the scale below which edges go straight from box to box
const MANY = 1500; // boxes, from which on a picture that moves is shifted before it is drawn anew
const calm = matchMedia("(prefers-reduced-motion: reduce)");

class Picture {
  constructor(canvas, scene) {
    this.canvas = canvas;
    this.scene = scene;
    this.graph = scene.graph;
    this.scale = 1;
    this.x = 0; // the point of the scene in the middle of the canvas
    this.y = 0;
    this.selected = -1;
    this.matches = new Set();
    this.marked = new Set();
    this.state = null;
    this.grad = () => ["", "", false]; // of a node: short, in full, whether it is there
    this.moved = 0; // when numbers began to travel
    this.frames = []; // milliseconds that the last frames took
    this.onPick = () => {};
    this.inset = 0; // pixels at the top that buttons cover
    this.#listen();
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.restyle();
    this.resize();
  }

  /** Colours of the style sheet, anew after the theme changed. */
  restyle() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const names = ["paper", "box", "pale", "line", "text", "soft", "forward", "forward-tint", "backward", "backward-tint", "accent", "mark", "group"];
    this.colours = Object.fromEntries(names.map((name) => [name, colour(name)]));
    this.request();
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.max(1, Math.round(this.width * ratio));
    this.canvas.height = Math.max(1, Math.round(this.height * ratio));
    this.ratio = ratio;
    this.kept = null;
    this.draw(); // at once: a resized canvas is empty
  }

  /** Draw it anew with the next frame. */
  request() {
    this.kept = null;
    this.#requestFrame();
  }

  #requestFrame() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  // Where one looks

  fit() {
    const { left, right, top, bottom } = this.scene.bounds;
    this.scale = this.#wholeScale();
    this.x = (left + right) / 2;
    this.y = (top + bottom) / 2 - this.inset / 2 / this.scale;
    this.request();
  }

  /** Zoom by a factor about a point of the canvas, by default its middle. */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const scale = Math.min(4, Math.max(0.002, this.scale * factor));
    this.x += (x - this.width / 2) * (1 / this.scale - 1 / scale);
    this.y += (y - this.height / 2) * (1 / this.scale - 1 / scale);
    this.scale = scale;
    this.#requestFrame();
  }

  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.#requestFrame();
  }

  /** Bring nodes into view, at a scale at which they can be read; the first one above all. */
  show(nodes) {
    const { scene } = this;
    const boxes = nodes.map((node) => scene.boxOf[node]);
    if (!boxes.length) return;
    const [first] = boxes;
    const margin = 12;
    const isIn = (box) => {
      const x = (scene.x[box] - this.x) * this.scale + this.width / 2;
      const y = (scene.y[box] - this.y) * this.scale + this.height / 2;
      const [w, h] = [(BOX_WIDTH / 2) * this.scale + margin, (BOX_HEIGHT / 2) * this.scale + margin];
      return x > w && x < this.width - w && y > h && y < this.height - h;
    };
    const isWhole = this.scale >= this.#wholeScale() * 0.99 && this.#wholeScale() >= 0.55;
    if (this.scale < READABLE && !isWhole) this.scale = READABLE;
    if (boxes.every(isIn)) return this.request();
    const xs = boxes.map((box) => scene.x[box]);
    const ys = boxes.map((box) => scene.y[box]);
    [this.x, this.y] = [(Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2];
    if (!isIn(first)) [this.x, this.y] = [scene.x[first], scene.y[first]];
    return this.request();
  }

  /** Put a node near the right edge, the graph before it in view. */
  showLast(node) {
    const box = this.scene.boxOf[node];
    this.scale = OVERVIEW;
    const { left } = this.scene.bounds;
    const right = this.scene.x[box] + BOX_WIDTH / 2 + 24;
    this.x = Math.max(right - this.width / this.scale, Math.min(left, right)) + this.width / this.scale / 2;
    this.y = this.scene.y[box];
    this.request();
  }

  #wholeScale() {
    const { left, right, top, bottom } = this.scene.bounds;
    return Math.min(1.5, this.width / (right - left + 24), (this.height - this.inset) / (bottom - top + 24));
  }

  #listen() {
    const { canvas } = this;
    const pointers = new Map();
    let travelled = 0;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
      if (pointers.size === 1) travelled = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const now = [event.offsetX, event.offsetY];
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const apart = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]) || 1;
        this.zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
        travelled = Infinity;
      } else {
        travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
        if (travelled > 4) this.pan(now[0] - before[0], now[1] - before[1]);
      }
      pointers.set(event.pointerId, now);
    });
    const end = (event) => pointers.delete(event.pointerId);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("pointerup", (event) => {
      end(event);
      if (travelled > 4) return;
      const at = this.#sceneAt(event.offsetX, event.offsetY);
      const box = this.scene.at(...at);
      if (box >= 0) this.onPick(box);
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const lines = event.deltaMode ? 16 : 1;
      this.zoom(Math.exp(-Math.max(-120, Math.min(120, event.deltaY * lines)) / 400), event.offsetX, event.offsetY);
    }, { passive: false });
  }

  #sceneAt(x, y) {
    return [(x - this.width / 2) / this.scale + this.x, (y - this.height / 2) / this.scale + this.y];
  }

  // Drawing

  /** Let the numbers of the last step travel along their edges. */
  animate() {
    this.moved = calm.matches ? 0 : performance.now();
    this.request();
  }

  draw() {
    if (!this.state || !this.width) return;
    const began = performance.now();
    const context = this.canvas.getContext("2d");
    const { ratio, scale, scene } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = this.colours.paper;
    context.fillRect(0, 0, this.width, this.height);
    if (this.#shiftKept(context)) return this.#note(began);
    context.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * (this.width / 2 - this.x * scale), ratio * (this.height / 2 - this.y * scale));
    const shown = scene.within(...this.#sceneAt(0, 0), ...this.#sceneAt(this.width, this.height));
    this.shown = shown.boxes.length;
    const active = this.#activeEdges(shown.edges);
    this.#drawEdges(context, shown.edges, active);
    if (scale < TEXT_FROM) this.#drawDots(context, shown.boxes);
    else for (const box of shown.boxes) this.#drawBox(context, box);
    if (this.shown > MANY) this.#keep();
    this.#drawMoving(context, active, began);
    return this.#note(began);
  }

  #note(began) {
    this.frames.push(performance.now() - began);
    if (this.frames.length > 1000) this.frames.shift();
  }

  /** Keep the picture of many boxes, to be shifted while it is moved. */
  #keep() {
    const { width, height } = this.canvas;
    this.copy ??= document.createElement("canvas");
    if (this.copy.width !== width || this.copy.height !== height) Object.assign(this.copy, { width, height });
    this.copy.getContext("2d").drawImage(this.canvas, 0, 0);
    this.kept = { x: this.x, y: this.y, scale: this.scale };
  }

  /** Draw what was kept, where it has moved but a little; the picture itself follows when the movement rests. */
  #shiftKept(context) {
    const { kept, width, height } = this;
    if (!kept) return false;
    const grown = this.scale / kept.scale;
    const [dx, dy] = [(kept.x - this.x) * this.scale, (kept.y - this.y) * this.scale];
    if (grown > 1.5 || grown < 0.7 || Math.abs(dx) > width * 0.3 || Math.abs(dy) > height * 0.3) return false;
    context.drawImage(this.copy, width / 2 + dx - (width / 2) * grown, height / 2 + dy - (height / 2) * grown, width * grown, height * grown);
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.request(), 120);
    return true;
  }

  #activeEdges(edges) {
    const { state, scene } = this;
    if (state.kind !== "forward" && state.kind !== "backward") return [];
    const to = scene.boxOf[state.node];
    const from = new Set(this.graph.operands[state.node].map((each) => scene.boxOf[each]));
    return [...edges].filter((edge) => scene.edges[edge][1] === to && from.has(scene.edges[edge][0]));
  }

  #ends(edge) {
    const { scene } = this;
    const [from, to] = scene.edges[edge];
    const target = scene.boxes[to];
    const badge = target.node >= 0 ? this.#opWidth(this.graph.ops[target.node]) : 0;
    return [[scene.x[from] + BOX_WIDTH / 2, scene.y[from]], [scene.x[to] - BOX_WIDTH / 2 - badge, scene.y[to]]];
  }

  #trace(context, edge, straight) {
    const [start, end] = this.#ends(edge);
    context.moveTo(...start);
    let [x, y] = start;
    const curve = (toX, toY) => {
      if (straight) context.lineTo(toX, toY);
      else context.bezierCurveTo((x + toX) / 2, y, (x + toX) / 2, toY, toX, toY);
      [x, y] = [toX, toY];
    };
    for (const [wayX, wayY] of this.scale < DIRECT_BELOW ? [] : this.scene.ways[edge]) {
      curve(wayX - BOX_WIDTH / 2, wayY);
      context.lineTo((x = wayX + BOX_WIDTH / 2), wayY);
    }
    curve(...end);
  }

  #drawEdges(context, edges, active) {
    const straight = this.scale < TEXT_FROM;
    context.strokeStyle = this.colours.line;
    context.lineWidth = Math.max(1.2, 0.6 / this.scale);
    context.beginPath();
    for (const edge of edges) this.#trace(context, edge, straight);
    context.stroke();
    if (!active.length) return;
    context.beginPath();
    for (const edge of active) this.#trace(context, edge, straight);
    context.strokeStyle = this.colours[this.state.kind];
    context.lineWidth = Math.max(3, 2 / this.scale);
    context.stroke();
    context.fillStyle = this.colours[this.state.kind];
    const size = Math.max(7, 4 / this.scale);
    for (const edge of active) {
      const [start, end] = this.#ends(edge);
      const backward = this.state.kind === "backward";
      const [x, y] = backward ? start : end;
      const way = backward ? 1 : -1; // where the arrow comes from
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(x + way * size * 1.6, y - size);
      context.lineTo(x + way * size * 1.6, y + size);
      context.fill();
    }
  }

  /** From afar: boxes without text, all of a colour in one go. */
  #drawDots(context, boxes) {
    const byColour = new Map();
    for (const box of boxes) {
      const colour = this.#look(box).dot;
      if (!byColour.has(colour)) byColour.set(colour, []);
      byColour.get(colour).push(box);
    }
    const { scene } = this;
    const least = 2.5 / this.scale;
    const [w, h] = [Math.max(BOX_WIDTH, least), Math.max(BOX_HEIGHT, least)];
    for (const [colour, these] of byColour) {
      context.beginPath();
      const more = colour === this.colours.line || colour === this.colours.soft ? 1 : 1.3;
      for (const box of these) context.rect(scene.x[box] - (w * more) / 2, scene.y[box] - (h * more) / 2, w * more, h * more);
      context.fillStyle = colour;
      context.fill();
    }
  }

  /** How the state shows on a box. */
  #look(box) {
    const { colours, state, scene } = this;
    const { nodes, outputs } = scene.boxes[box];
    const holds = (node) => node >= 0 && scene.boxOf[node] === box;
    const shownNode = outputs[0] ?? nodes[0];
    const isComputed = state.isComputed(shownNode);
    const isActive = holds(state.node) && state.kind !== "start";
    const term = state.terms.find((each) => holds(each.operand));
    const backward = state.kind === "backward" || state.kind === "seed";
    const isSelected = holds(this.selected);
    const isMatch = nodes.some((node) => this.matches.has(node));
    let dot = isComputed ? colours.soft : colours.line;
    if (this.grad(shownNode)[2]) dot = colours.backward;
    if (isActive) dot = backward ? colours.backward : colours.forward;
    if (isMatch) dot = colours.mark;
    if (isSelected) dot = colours.accent;
    return { isComputed, isActive, term, backward, isSelected, isMatch, dot };
  }

  #drawBox(context, box) {
    const { colours, scene, graph } = this;
    const { node, group, nodes, outputs } = scene.boxes[box];
    const look = this.#look(box);
    const left = scene.x[box] - BOX_WIDTH / 2;
    const top = scene.y[box] - BOX_HEIGHT / 2;
    const tint = look.isActive ? (look.backward ? "backward-tint" : "forward-tint") : look.term ? "backward-tint" : null;
    if (group >= 0) {
      context.fillStyle = colours.group;
      roundRect(context, left + 5, top + 5, BOX_WIDTH, BOX_HEIGHT, 9);
      context.fill();
      context.strokeStyle = colours.soft;
      context.lineWidth = 1;
      context.stroke();
    }
    if (look.isSelected || look.isMatch) {
      roundRect(context, left - 5, top - 5, BOX_WIDTH + 10, BOX_HEIGHT + 10, 12);
      context.strokeStyle = look.isSelected ? colours.accent : colours.mark;
      context.lineWidth = 3;
      context.setLineDash(look.isSelected ? [] : [3, 4]);
      context.stroke();
      context.setLineDash([]);
    }
    roundRect(context, left, top, BOX_WIDTH, BOX_HEIGHT, 8);
    context.fillStyle = tint ? colours[tint] : look.isComputed ? colours.box : colours.pale;
    context.fill();
    const ring = look.isActive || look.term;
    context.strokeStyle = ring ? colours[look.backward ? "backward" : "forward"] : colours.soft;
    context.lineWidth = look.isActive ? 3.5 : look.term ? 2.5 : 1.2;
    context.setLineDash(look.isComputed ? [] : [5, 4]);
    context.stroke();
    context.setLineDash([]);
    if (node >= 0 && !graph.isLeaf(node)) this.#drawOp(context, graph.ops[node] || "?", left, scene.y[box], look);
    const title = group >= 0 ? scene.groups[group].title : graph.name(node);
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.fillStyle = group >= 0 || graph.labels[node] ? colours.text : colours.soft;
    context.font = "600 14px system-ui, sans-serif";
    context.fillText(fitted(context, title, BOX_WIDTH - (this.marked.has(node) ? 36 : 18)), left + 9, top + 14);
    if (this.marked.has(node)) {
      context.textAlign = "right";
      context.fillStyle = colours.accent;
      context.fillText("▼", left + BOX_WIDTH - 8, top + 14);
    }
    if (outputs.length !== 1) return this.#drawLine(context, left, top + 36, scene.groups[group].about || `${nodes.length} nodes`, "", colours.soft);
    const [shown] = outputs;
    const [grad, , hasGrad] = this.grad(shown);
    this.#drawLine(context, left, top + 33, "data", look.isComputed ? short(graph.data[shown]) : "·", look.isComputed ? colours.forward : colours.soft);
    this.#drawLine(context, left, top + 51, "grad", grad, hasGrad ? colours.backward : colours.soft);
    if (look.term) this.#drawChip(context, left + BOX_WIDTH - 4, top + BOX_HEIGHT + 4, "+=");
    return undefined;
  }

  #drawLine(context, left, y, name, text, colour) {
    context.font = "12.5px system-ui, sans-serif";
    context.textAlign = "left";
    context.fillStyle = this.colours.soft;
    context.fillText(name, left + 9, y);
    context.font = "600 15px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace";
    context.textAlign = "right";
    context.fillStyle = colour;
    context.fillText(text, left + BOX_WIDTH - 9, y);
  }

  /** How far an op reaches out of its box to the left. */
  #opWidth(op) {
    const context = this.canvas.getContext("2d");
    context.font = OP_FONT;
    return Math.max(26, context.measureText(opText(context, op || "?")).width + 12);
  }

  #drawOp(context, op, right, y, look) {
    const { colours } = this;
    const width = this.#opWidth(op);
    const text = opText(context, op);
    roundRect(context, right - width, y - 13, width, 26, 13);
    context.fillStyle = look.isActive ? colours[look.backward ? "backward" : "forward"] : colours.group;
    context.fill();
    context.strokeStyle = colours.soft;
    context.lineWidth = 1;
    context.stroke();
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillStyle = look.isActive ? colours.paper : colours.text;
    context.fillText(text, right - width / 2, y + 0.5);
  }

  #drawChip(context, right, y, text) {
    context.font = "700 13px ui-monospace, monospace";
    roundRect(context, right - 30, y - 10, 30, 20, 10);
    context.fillStyle = this.colours.backward;
    context.fill();
    context.textAlign = "center";
    context.fillStyle = this.colours.paper;
    context.fillText(text, right - 15, y + 0.5);
  }

  #drawMoving(context, active, now) {
    const share = (now - this.moved) / MOVE_TIME;
    if (share >= 1 || !this.moved) return;
    context.fillStyle = this.colours[this.state.kind] ?? this.colours.accent;
    for (const edge of active) {
      const [x, y] = this.#along(edge, this.state.kind === "backward" ? 1 - share : share);
      context.beginPath();
      context.arc(x, y, Math.max(7, 5 / this.scale), 0, 2 * Math.PI);
      context.fill();
    }
    this.request();
  }

  #along(edge, share) {
    const [start, end] = this.#ends(edge);
    const points = [start, ...this.scene.ways[edge], end];
    const at = Math.min(points.length - 1.0001, Math.max(0, share * (points.length - 1)));
    const [k, t] = [Math.floor(at), at % 1];
    const eased = t * t * (3 - 2 * t);
    return [points[k][0] + (points[k + 1][0] - points[k][0]) * t, points[k][1] + (points[k + 1][1] - points[k][1]) * eased];
  }
}

function roundRect(context, x, y, width, height, radius) {
  context.beginPath();
  context.roundRect(x, y, width, height, radius);
}

const widths = new Map(); // measuring text is slow

/** As much of a text as fits, of its end by default: ends tell long names apart. */
function fitted(context, text, width, cut = (kept) => `…${text.slice(text.length - kept)}`) {
  const key = `${context.font} ${width} ${text}`;
  if (!widths.has(key)) {
    let shown = text;
    for (let kept = text.length - 1; context.measureText(shown).width > width && kept > 0; kept -= 1) shown = cut(kept);
    if (widths.size > 20000) widths.clear();
    widths.set(key, shown);
  }
  return widths.get(key);
}

/** The beginning of an op's name. */
const opText = (context, op) => fitted(context, op, OP_WIDTH - 12, (kept) => `${op.slice(0, kept)}…`);
