// The page of a training: losses, weights and decisions, with a slider over the epochs.

const CURVE = { width: 640, height: 260, left: 78, right: 12, top: 12, bottom: 34 };

class Training {
  constructor(given) {
    this.losses = given.losses.map(number);
    this.validation = given.validation.map(number);
    this.weights = given.weights.map((each) => each.map(number));
    this.rows = given.rows;
    this.boundary = given.boundary;
    this.first = given.first_epoch;
    // Positions of the slider: the snapshots, or the epochs where there are none.
    this.epochs = given.epochs.length ? given.epochs : this.losses.map((_, k) => k + 1);
    this.position = Math.max(0, this.epochs.length - 1);
    this.playing = 0;
    this.largest = this.weights.flat().reduce((most, each) => (Number.isFinite(each) ? Math.max(most, Math.abs(each)) : most), 0);
    const positive = [...this.losses, ...this.validation].every((each) => each > 0);
    const finite = this.losses.filter(Number.isFinite);
    this.canBeLogarithmic = positive;
    byId("logarithmic").disabled = !positive;
    byId("logarithmic").checked = positive && Math.max(...finite) / Math.min(...finite) > 100;
    byId("weights-card").hidden = !this.weights.length;
    byId("boundary-card").hidden = !this.boundary;
    this.leftOut = given.left_out;
    this.#buildWeights();
    this.refresh();
  }

  get last() {
    return Math.max(0, this.epochs.length - 1);
  }

  go(position) {
    this.position = Math.max(0, Math.min(this.last, position));
    this.refresh();
  }

  play(isOn = !this.playing) {
    clearTimeout(this.playing);
    this.playing = 0;
    if (isOn) {
      if (this.position >= this.last) this.go(0);
      const pace = Math.max(30, Math.min(500, 8000 / (this.last + 1)));
      const tick = () => {
        this.go(this.position + 1);
        if (this.position >= this.last) this.play(false);
        else this.playing = setTimeout(tick, pace);
      };
      this.playing = setTimeout(tick, pace);
    }
    showPlaying(isOn);
  }

  /** The loss of the epoch that ended at this position; none before the first. */
  lossAt(list) {
    const done = this.epochs[this.position] - (this.epochs.length === list.length && !this.weights.length ? 0 : this.first);
    return done >= 1 ? list[done - 1] : undefined;
  }

  refresh() {
    const epoch = this.epochs[this.position] ?? 0;
    const [loss, validation] = [this.lossAt(this.losses), this.lossAt(this.validation)];
    const parts = [`epoch ${epoch}`];
    if (loss !== undefined) parts.push(`loss ${loss.toPrecision(6)}`);
    if (validation !== undefined) parts.push(`validation ${validation.toPrecision(6)}`);
    byId("now").textContent = parts.join(", ");
    const slider = byId("position");
    slider.max = this.last;
    slider.value = this.position;
    slider.setAttribute("aria-valuetext", parts.join(", "));
    byId("count").textContent = `epoch ${epoch}`;
    for (const id of ["first", "back"]) byId(id).disabled = this.position === 0;
    for (const id of ["next", "final"]) byId(id).disabled = this.position === this.last;
    this.#drawCurve(epoch);
    this.#drawWeights();
    if (this.boundary) this.#drawBoundary();
  }

  // The losses

  #drawCurve(epoch) {
    const { width, height, left, right, top, bottom } = CURVE;
    const isLogarithmic = byId("logarithmic").checked && this.canBeLogarithmic;
    const scaled = (each) => (isLogarithmic ? Math.log10(each) : each);
    const shown = [...this.losses, ...this.validation].map(scaled).filter(Number.isFinite);
    if (!shown.length) return byId("curve").replaceChildren(make("p", { class: "note" }, "No epoch is finished."));
    const low = Math.min(...shown, ...(isLogarithmic ? [] : [0]));
    const high = Math.max(...shown, low + 1e-9);
    const count = this.losses.length;
    const x = (done) => left + ((width - left - right) * (done - 1)) / Math.max(1, count - 1);
    const y = (each) => top + ((height - top - bottom) * (high - scaled(each))) / (high - low);
    const line = (list, kind) => {
      const step = Math.max(1, Math.floor(list.length / 1200));
      const points = list.map((each, k) => [k, each]).filter(([k, each]) => Number.isFinite(scaled(each)) && (k % step === 0 || k === list.length - 1));
      return makeSvg("polyline", { class: `line ${kind}`, points: points.map(([k, each]) => `${x(k + 1).toFixed(1)},${y(each).toFixed(1)}`).join(" ") });
    };
    const label = (text, atX, atY, anchor) => makeSvg("text", { x: atX, y: atY, "text-anchor": anchor }, text);
    const title = `Loss over ${count} epochs${isLogarithmic ? ", logarithmic" : ""}`;
    const svg = makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
    for (let k = 0; k <= 4; k += 1) {
      const level = low + ((high - low) * k) / 4;
      const at = top + ((height - top - bottom) * (high - level)) / (high - low);
      svg.append(makeSvg("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }), label((isLogarithmic ? 10 ** level : level).toPrecision(3), left - 6, at + 4, "end"));
    }
    svg.append(label(`epoch ${this.first + 1}`, left, height - 10, "start"), label(String(this.first + count), width - right, height - 10, "end"));
    svg.append(line(this.losses, "training"));
    if (this.validation.length) {
      svg.append(line(this.validation, "validation"), label("— training   - - validation", width - right, top + 12, "end"));
    }
    const done = epoch - this.first;
    const at = x(Math.max(1, this.weights.length ? done : this.position + 1));
    svg.append(makeSvg("line", { class: "cursor", x1: at, x2: at, y1: top, y2: height - bottom }));
    const loss = this.lossAt(this.losses);
    if (loss !== undefined && Number.isFinite(scaled(loss))) svg.append(makeSvg("circle", { class: "cursor", cx: at, cy: y(loss), r: 5 }));
    return byId("curve").replaceChildren(svg);
  }

  // The weights: cells in the colours blue (below 0) to vermilion (above), each with its number

  #buildWeights() {
    const shown = this.rows.reduce((sum, row) => sum + row.places.length, 0) <= 4000 ? this.rows : this.rows.slice(0, 60);
    this.cells = [];
    const lines = shown.map((row) => {
      const cells = row.places.map((place, k) => {
        const cell = make("td", {}, "");
        this.cells.push([cell, place, `${row.title ? `${row.title}.` : ""}${row.names[k]}`]);
        return cell;
      });
      return make("tr", {}, make("th", { scope: "row" }, row.title || "parameters"), ...cells);
    });
    byId("weights").replaceChildren(make("table", {}, ...lines));
    const range = this.largest || 1;
    const notes = [`from ${MINUS}${short(range)} (blue) to ${short(range)} (vermilion)`];
    if (shown.length < this.rows.length) notes.push(`${this.rows.length - shown.length} rows are not shown`);
    if (this.leftOut) notes.push(`${this.leftOut} snapshots are left out`);
    byId("scale").textContent = `${notes.join("; ")}.`;
  }

  #drawWeights() {
    const weights = this.weights[this.position];
    if (!weights) return;
    for (const [cell, place, name] of this.cells) {
      const share = Math.max(-1, Math.min(1, weights[place] / (this.largest || 1)));
      cell.style.background = diverging(share);
      cell.style.color = Math.abs(share) > 0.55 ? "#ffffff" : "#14181d";
      cell.textContent = Math.abs(weights[place]) < 1000 ? weights[place].toFixed(2).replace(/^-(?!0\.00$)/, MINUS).replace(/^-/, "") : short(weights[place]);
      cell.title = `${name} = ${full(weights[place])}`;
    }
  }

  // The decision

  #drawBoundary() {
    const { low, high, resolution, scores, threshold, points, classes, kinds } = this.boundary;
    const canvas = byId("boundary");
    const context = canvas.getContext("2d");
    const size = canvas.width;
    const cell = size / resolution;
    const grid = scores[this.position].map(number);
    const reach = Math.max(...grid.map((each) => Math.abs(each - threshold)).filter(Number.isFinite), 1e-12);
    grid.forEach((each, k) => {
      const [column, row] = [k % resolution, Math.floor(k / resolution)];
      context.fillStyle = Number.isFinite(each) ? diverging(((each - threshold) / reach) * 0.8) : "#808080";
      context.fillRect(Math.floor(column * cell), Math.floor(size - (row + 1) * cell), Math.ceil(cell), Math.ceil(cell));
    });
    const scaled = (each, k) => (each - low[k]) / (high[k] - low[k]);
    points.forEach((point, k) => {
      const [x, y] = [scaled(point[0], 0) * size, size - scaled(point[1], 1) * size];
      context.beginPath();
      if (classes[k] === 0) context.arc(x, y, 6, 0, 2 * Math.PI);
      else context.rect(x - 5.5, y - 5.5, 11, 11);
      context.fillStyle = classes[k] === 0 ? "#00588f" : "#b34700";
      context.fill();
      context.strokeStyle = "#ffffff";
      context.lineWidth = 2;
      context.stroke();
    });
    byId("legend").textContent = kinds.map((kind, k) => `${k === 0 ? "●" : "■"} class ${kind}`).join("   ") + `; the model's output is above ${threshold} where it is vermilion`;
  }
}

/** Blue, white, vermilion for -1, 0, 1. */
function diverging(share) {
  const [r, g, b] = share < 0 ? [0, 88, 143] : [179, 71, 0];
  const mixed = (each) => Math.round(255 + (each - 255) * Math.min(1, Math.abs(share)));
  return `rgb(${mixed(r)}, ${mixed(g)}, ${mixed(b)})`;
}

const training = new Training(JSON.parse(byId("data").textContent));
const buttons = {
  first: () => training.go(0),
  back: () => training.go(training.position - 1),
  next: () => training.go(training.position + 1),
  final: () => training.go(training.last),
};
for (const [id, act] of Object.entries(buttons)) {
  byId(id).addEventListener("click", () => {
    training.play(false);
    act();
  });
}
byId("play").addEventListener("click", () => training.play());
byId("position").addEventListener("input", (event) => {
  training.play(false);
  training.go(Number(event.target.value));
});
byId("logarithmic").addEventListener("change", () => training.refresh());
listenToTheme(byId("theme"), () => {});
document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || takesKeys(target)) return;
  const id = { ArrowRight: "next", ArrowLeft: "back", Home: "first", End: "final", " ": "play", t: "theme" }[key];
  if (!id || (key !== "t" && target.matches("input")) || (key === " " && target.matches("button"))) return;
  event.preventDefault();
  byId(id).click();
});
window.kilograd = training;
