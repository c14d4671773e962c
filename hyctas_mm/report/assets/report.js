// What the page does beside being read: a network under the pointer is sketched, a clicked one kept, generations wound
// back, commands copied. Without it the page is the same, as a picture; so all that only it can do is put there by it.
(() => {
'use strict';
const NS = 'http://www.w3.org/2000/svg', CELL = 44, HIGH = 28, STEP = 56, ROW = 38, LEFT = 46, PAD = 7, EMPTY = 16;
const data = JSON.parse(document.getElementById('search-data').textContent);
const figure = document.querySelector('.front'), svg = figure.querySelector('svg.fig');

const set = (element, attributes) => {
  for (const key in attributes) element.setAttribute(key, attributes[key]);
  return element;
};
const make = (name, attributes = {}, ...children) => {
  const element = set(document.createElement(name), attributes);
  element.append(...children);
  return element;
};
const draw = (parent, name, attributes, text) => {
  const element = set(document.createElementNS(NS, name), attributes);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
};

// Every point of the front, its place in the figure's own units. The tooltips are taken over from the browser's.
const points = [...svg.querySelectorAll('[data-id]')].map(element => {
  const box = element.getBBox(), title = element.querySelector('title');
  const [id, facts] = title.textContent.split(': ');
  title.remove();
  return {element, id, facts, generation: +element.dataset.generation, track: element.closest('g[id*="points-"]').id,
    x: box.x + box.width / 2, y: box.y + box.height / 2};
});
const byId = new Map(points.map(point => [point.id, point]));

function sketch(point) {
  const numbers = data.archs[point.id], lanes = numbers.slice(0, data.strides.length), cells = [], rows = [];
  for (let i = lanes.length; i < numbers.length; i += 5) {
    const [layer, row, op, width, from] = numbers.slice(i, i + 5);
    cells.push({layer, row, op, width, from, end: true});
  }
  const layers = cells.map(cell => cell.layer), first = LEFT - STEP * Math.min(0, ...layers);
  const right = first + STEP * (1 + Math.max(...layers)) + 6, widest = Math.max(12, ...cells.map(cell => cell.width));
  const root = document.createElementNS(NS, 'svg');
  let top = 2, stem = 0;
  lanes.forEach((count, lane) => {
    const high = count ? 2 * PAD + count * ROW - (ROW - HIGH) : EMPTY;
    draw(root, 'rect', {class: 'lane', x: 2, y: top, width: right - 4, height: high, rx: 6});
    draw(root, 'text', {x: 8, y: top + high / 2 + 4}, '1/' + data.strides[lane]);
    if (data.strides[lane] === 8) stem = top + (count ? PAD + HIGH / 2 : high / 2);
    for (let row = 0; row < count; row++) rows.push(top + PAD + row * ROW + HIGH / 2);
    top += high + 4;
  });
  cells.forEach(cell => { if (cell.from >= 0) cells[cell.from].end = false; });
  for (const cell of cells) {
    const from = cells[cell.from], x = first + cell.layer * STEP, y = rows[cell.row];
    const stemX = (cell.layer < 0 ? LEFT : first) - 8;
    const start = from ? [first + from.layer * STEP + CELL, rows[from.row]] : [stemX, stem];
    draw(root, 'path', {class: 'wire', d: `M${start}H${x - 6}V${y}H${x}`});
    const goal = cell.layer < 0 ? `H${first - 12}V${stem}` : `H${right + 6}`; // back to the stem, or to the head
    if (cell.end) draw(root, 'path', {class: 'wire', d: `M${x + CELL} ${y}` + goal});
  }
  for (const cell of cells) {
    const x = first + cell.layer * STEP, y = rows[cell.row] - HIGH / 2, [name, color] = data.ops[cell.op];
    draw(root, 'rect', {x, y, width: CELL, height: HIGH, rx: 5, fill: color});
    draw(root, 'text', {class: 'in', x: x + CELL / 2, y: y + 16}, name);
    const width = (CELL - 8) * cell.width / widest;
    draw(root, 'rect', {class: 'bar', x: x + 4, y: y + HIGH - 6, width, height: 3, rx: 1.5});
  }
  for (const x of new Set([LEFT, first])) draw(root, 'circle', {class: 'stem', cx: x - 9, cy: stem, r: 3});
  draw(root, 'rect', {class: 'head', x: right + 6, y: 2, width: 10, height: top - 6, rx: 4});
  const width = right + 20, viewBox = `0 0 ${width} ${top}`;
  set(root, {class: 'sketch', viewBox, role: 'img', 'aria-label': 'sketch of ' + point.id});
  root.style.maxWidth = width + 'px';
  return root;
}

// Pointing -----------------------------------------------------------------------------------------------------
const tip = make('div', {class: 'tip', hidden: ''});
const pin = make('section', {class: 'pin', 'aria-live': 'polite', 'aria-label': 'Kept network', hidden: ''});
const ring = draw(svg, 'circle', {class: 'ring', r: 8, visibility: 'hidden'});
const kept = draw(svg, 'circle', {class: 'ring kept', r: 9, visibility: 'hidden'});
let shown = null, generation = data.last;
figure.append(tip);
figure.after(pin);
const name = 'Front of the search. The arrow keys walk along it, Enter keeps a network, Escape lets it go.';
set(figure, {tabindex: '0', role: 'group', 'aria-label': name});
const hint = make('p', {class: 'hint'},
  'Point at a network to see it, click to keep it; on the keyboard: arrow keys, Enter, Escape.');
figure.querySelector('figcaption').before(hint);

const put = (circle, point) => {
  set(circle, point ? {visibility: 'visible', cx: point.x, cy: point.y} : {visibility: 'hidden'});
};
const facts = point => make('ul', {}, ...point.facts.split(', ').map(fact => make('li', {}, fact)));
function show(point) {
  if (point === shown) return;
  shown = point;
  put(ring, point);
  tip.hidden = !point;
  if (!point) return;
  tip.replaceChildren(make('code', {}, point.id), facts(point), sketch(point));
  const at = new DOMPoint(point.x, point.y).matrixTransform(svg.getScreenCTM()), box = figure.getBoundingClientRect();
  const x = at.x - box.left, y = at.y - box.top, wide = tip.offsetWidth, high = tip.offsetHeight;
  const beside = x + 18 + wide > box.width && x > wide ? x - 18 - wide : x + 18;
  tip.style.left = Math.max(0, Math.min(beside, box.width - wide)) + 'px';
  tip.style.top = (at.y + 18 + high > innerHeight && at.y > high ? y - 14 - high : y + 14) + 'px';
}
function nearest(event) {
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  const reach = 16 * svg.viewBox.baseVal.width / svg.getBoundingClientRect().width;
  let best = null, least = reach * reach;
  for (const point of points) {
    if (point.generation > generation) continue;
    const distance = (point.x - at.x) ** 2 + (point.y - at.y) ** 2;
    if (distance < least) { best = point; least = distance; }
  }
  return best;
}
svg.addEventListener('pointermove', event => { if (event.pointerType !== 'touch') show(nearest(event)); });
svg.addEventListener('pointerleave', () => show(null));
svg.addEventListener('click', event => keep(nearest(event)));

// Keeping one: its drawing is shown below the figure, and marked where it stands -------------------------------
function keep(point) {
  document.querySelectorAll('.hit').forEach(element => element.classList.remove('hit'));
  put(kept, point);
  pin.hidden = !point;
  if (!point) return;
  show(null);
  const card = document.getElementById(point.id), own = card && card.querySelector('svg.ha');
  let drawing = sketch(point);
  if (own) {  // its ids must stay different from the copy's
    drawing = own.cloneNode(true);
    const name = 'tip-' + point.id;
    drawing.querySelectorAll('[id],[marker-end]').forEach(part => {
      if (part.id === name) part.id = 'kept-' + name;
      if (part.hasAttribute('marker-end')) part.setAttribute('marker-end', `url(#kept-${name})`);
    });
  }
  const close = make('button', {type: 'button', 'aria-label': 'Let go of ' + point.id}, 'Close');
  close.addEventListener('click', () => { keep(null); figure.focus({preventScroll: true}); });
  pin.replaceChildren(make('h3', {}, make('code', {}, point.id)), close, facts(point),
    make('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Drawing of ' + point.id}, drawing));
  if (card) {
    pin.append(make('p', {}, make('a', {href: '#' + point.id}, 'To its place among the drawings')));
    card.classList.add('hit');
  }
  document.querySelectorAll(`tr[data-id="${point.id}"]`).forEach(row => row.classList.add('hit'));
}
figure.addEventListener('keydown', event => {
  if (event.target !== figure) return;
  const front = data.front.map(id => byId.get(id)).filter(point => point.generation <= generation);
  const at = front.indexOf(shown), last = front.length - 1;
  const left = at < 0 ? last : Math.max(at - 1, 0), right = Math.min(at + 1, last);
  const next = {ArrowRight: right, ArrowLeft: left, Home: 0, End: last}[event.key];
  if (next !== undefined) show(front[next] || null);
  else if (event.key === 'Enter' && shown) keep(shown);
  else if (event.key === 'Escape') { show(null); keep(null); }
  else return;
  event.preventDefault();
});
figure.addEventListener('blur', () => show(null));
document.querySelectorAll('tr[data-id]').forEach(row => {
  row.addEventListener('pointerenter', () => put(ring, byId.get(row.dataset.id)));
  row.addEventListener('pointerleave', () => put(ring, null));
});

// Winding back: the points and fronts of the first generations -------------------------------------------------
const overlay = document.createElementNS(NS, 'g'), finals = svg.querySelectorAll('[id*="-front-"],[id*="-chosen-"]');
svg.insertBefore(overlay, ring);
function wind(to) {
  generation = to;
  show(null);
  for (const point of points) point.element.classList.toggle('later', point.generation > to);
  finals.forEach(element => element.classList.toggle('later', to < data.last));
  overlay.replaceChildren();
  if (to === data.last) return;
  const [signX, signY] = [data.better[0] === 'min' ? 1 : -1, data.better[1] === 'max' ? 1 : -1];
  for (const track of new Set(points.map(point => point.track))) {
    const own = points.filter(point => point.track === track && point.generation <= to);
    own.sort((a, b) => signX * (a.x - b.x) || signY * (a.y - b.y));
    let best = Infinity;
    const front = own.filter(point => signY * point.y < best - 1e-6 && ((best = signY * point.y), true));
    if (front.length) {
      const path = 'M' + front.map(point => point.x + ' ' + point.y).join('L');
      const color = getComputedStyle(front[0].element).fill;
      draw(overlay, 'path', {class: 'past', d: path, stroke: color});
      for (const point of front) draw(overlay, 'circle', {cx: point.x, cy: point.y, r: 2.6, fill: color});
    }
  }
}
if (data.last) {
  const slider = make('input', {type: 'range', min: '0', max: data.last, value: data.last});
  const output = make('output', {}, data.last);
  slider.addEventListener('input', () => { output.value = slider.value; wind(+slider.value); });
  hint.before(make('label', {class: 'wind'}, 'up to generation ', slider, output));
}

// Copying ------------------------------------------------------------------------------------------------------
document.querySelectorAll('pre.copy').forEach(block => {
  const text = block.textContent, button = make('button', {type: 'button', 'aria-label': 'Copy: ' + text}, 'Copy');
  button.addEventListener('click', async () => {
    let done = true;
    try { await navigator.clipboard.writeText(text); } catch {
      getSelection().selectAllChildren(block);
      done = document.execCommand('copy');
    }
    button.textContent = done ? 'Copied' : 'Selected';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
  block.before(button);
});
})();
