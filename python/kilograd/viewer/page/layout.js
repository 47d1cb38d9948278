// Where boxes stand: ranks from left to right by the longest path, order within a rank by barycentres, heights by least
// squares. An edge over several ranks goes through a place of its own in each of them, so that it passes between boxes.

const RANK_WIDTH = 208;
const ROW_HEIGHT = 82;
const LANE_HEIGHT = 22; // of an edge that passes
const MOST_PLACES = 30000; // of edges that pass; further long edges go straight

/**
 * `count` boxes, `edges` as [from, to] with from computed before to. Returns x, y (centres) and, for each edge, the
 * points that it passes through.
 */
function layout(count, edges) {
  const ranks = ranksOf(count, edges);
  const places = Array.from({ length: count }, (_, box) => ({ box, rank: ranks[box], before: [], after: [], y: 0 }));
  const ways = edges.map(([from, to]) => {
    const way = [];
    const span = ranks[to] - ranks[from];
    let last = places[from];
    if (places.length - count + span < MOST_PLACES) {
      for (let rank = ranks[from] + 1; rank < ranks[to]; rank += 1) {
        const place = { box: -1, rank, before: [], after: [], y: 0 };
        places.push(place);
        way.push(place);
        join(last, place);
        last = place;
      }
    }
    join(last, places[to]);
    return way;
  });
  const columns = Array.from({ length: Math.max(0, ...ranks) + 1 }, () => []);
  for (const place of inOrderOfSearch(places)) columns[place.rank].push(place);
  orderColumns(columns, places.length > 6000 ? 4 : 14);
  placeColumns(columns, places.length > 6000 ? 6 : 24);
  return {
    x: Float64Array.from(ranks, (rank) => rank * RANK_WIDTH),
    y: Float64Array.from({ length: count }, (_, box) => places[box].y),
    ways: ways.map((way) => way.map((place) => [place.rank * RANK_WIDTH, place.y])),
  };
}

function join(from, to) {
  from.after.push(to);
  to.before.push(from);
}

/** The longest path from a source; sources stand just before the first box that uses them. */
function ranksOf(count, edges) {
  const after = Array.from({ length: count }, () => []);
  const missing = new Int32Array(count);
  for (const [from, to] of edges) {
    after[from].push(to);
    missing[to] += 1;
  }
  const isSource = missing.map((each) => (each ? 0 : 1));
  const ready = [];
  const ranks = new Int32Array(count);
  for (let box = 0; box < count; box += 1) if (!missing[box]) ready.push(box);
  for (let k = 0; k < ready.length; k += 1) {
    for (const to of after[ready[k]]) {
      ranks[to] = Math.max(ranks[to], ranks[ready[k]] + 1);
      missing[to] -= 1;
      if (!missing[to]) ready.push(to);
    }
  }
  for (let box = 0; box < count; box += 1) {
    if (isSource[box] && after[box].length) ranks[box] = Math.min(...after[box].map((to) => ranks[to])) - 1;
  }
  return ranks;
}

/** All places, neighbours near each other: depth first from the results back, operands in their order. */
function inOrderOfSearch(places) {
  const seen = new Set();
  const order = [];
  for (const start of places) {
    if (start.after.length) continue;
    const stack = [start];
    while (stack.length) {
      const place = stack.pop();
      if (seen.has(place)) continue;
      seen.add(place);
      order.push(place);
      for (let k = place.before.length - 1; k >= 0; k -= 1) stack.push(place.before[k]);
    }
  }
  return order;
}

/** Sweeps to and fro: each place goes to the mean position of its neighbours in the column before. */
function orderColumns(columns, sweeps) {
  const number = (column) => column.forEach((place, k) => (place.at = k));
  columns.forEach(number);
  const mean = (neighbours, otherwise) =>
    neighbours.length ? neighbours.reduce((sum, each) => sum + each.at, 0) / neighbours.length : otherwise;
  for (let sweep = 0; sweep < sweeps; sweep += 1) {
    const forward = sweep % 2 === 1;
    for (const column of forward ? columns : [...columns].reverse()) {
      for (const place of column) place.wish = mean(forward ? place.before : place.after, place.at);
      column.sort((a, b) => a.wish - b.wish || a.at - b.at);
      number(column);
    }
  }
}

/** Heights: each place near the mean of its neighbours, in its order, and apart from the next one. */
function placeColumns(columns, sweeps) {
  for (const column of columns) settle(column, column.map(() => 0));
  const mean = (neighbours) => neighbours.reduce((sum, each) => sum + each.y, 0) / neighbours.length;
  for (let sweep = 0; sweep < sweeps; sweep += 1) {
    const both = sweep >= sweeps - 4;
    const forward = sweep % 2 === 1;
    for (const column of forward ? columns : [...columns].reverse()) {
      const wishes = column.map((place) => {
        const near = both ? [...place.before, ...place.after] : forward ? place.before : place.after;
        return near.length ? mean(near) : place.y;
      });
      settle(column, wishes);
    }
  }
}

/** The heights nearest to the wishes, by least squares, that keep order and distances: pool adjacent violators. */
function settle(column, wishes) {
  const half = (place) => (place.box >= 0 ? ROW_HEIGHT : LANE_HEIGHT) / 2;
  const offsets = [];
  let offset = 0;
  column.forEach((place, k) => {
    if (k) offset += half(column[k - 1]) + half(place);
    offsets.push(offset);
  });
  const pools = [];
  wishes.forEach((wish, k) => {
    let pool = { sum: wish - offsets[k], count: 1 };
    while (pools.length && pools.at(-1).sum / pools.at(-1).count > pool.sum / pool.count) {
      const other = pools.pop();
      pool = { sum: pool.sum + other.sum, count: pool.count + other.count };
    }
    pools.push(pool);
  });
  let k = 0;
  for (const pool of pools) {
    for (let done = 0; done < pool.count; done += 1, k += 1) column[k].y = pool.sum / pool.count + offsets[k];
  }
}
