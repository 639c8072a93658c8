"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const canvas = at("canvas"), pen = canvas.getContext("2d"), tip = at("tip");
  const MARKS = ["circle", "triangle", "square"], BRANCH_COLORS = ["#1f6fb4", "#d9822b", "#2d8a6e"];
  const RANGE = 32000, NEAR = 14, SCALE = 2;

  const numbers = (text) => {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    return new Int16Array(bytes.buffer);
  };
  for (const map of data.maps)
    for (const name in map.parts) map.parts[name] = numbers(map.parts[name]);
  for (const column of data.columns) column.codes = numbers(column.codes);

  const state = { map: data.maps[0], column: null, hidden: new Set(), off: new Set(), near: null, zoom: 1, x: 0, y: 0 };
  let width = 0, height = 0, unit = 1, grid = null, queued = false;

  const option = (list, text, value) => list.append(new Option(text, value));
  data.maps.forEach((map, i) => option(at("map"), map.name, i));
  option(at("column"), "branch", -1);
  data.columns.forEach((column, i) => option(at("column"), column.name, i));

  // places on the screen; the map's middle is (0, 0) in its own numbers
  const sx = (v) => width / 2 + (v - state.x) * unit * state.zoom;
  const sy = (v) => height / 2 - (v - state.y) * unit * state.zoom;
  const shownBranches = () => data.branches.filter((b) => state.map.parts[b] && !state.off.has(b));
  const code = (i) => (state.column ? state.column.codes[i] : 0);
  const isHidden = (i) => state.column && state.hidden.has(code(i));
  const color = (branch, i) => {
    if (!state.column) return BRANCH_COLORS[data.branches.indexOf(branch) % 3];
    const c = code(i);
    return c < 0 ? data.unknown : data.colors[c % data.colors.length];
  };

  const mark = (kind, x, y, r) => {
    pen.beginPath();
    if (kind === "circle") pen.arc(x, y, r, 0, 6.2832);
    else if (kind === "square") pen.rect(x - r, y - r, 2 * r, 2 * r);
    else { pen.moveTo(x, y - 1.2 * r); pen.lineTo(x + 1.1 * r, y + r); pen.lineTo(x - 1.1 * r, y + r); pen.closePath(); }
  };

  const join = (a, b, i) => {
    const p = state.map.parts[a], q = state.map.parts[b];
    pen.moveTo(sx(p[2 * i]), sy(p[2 * i + 1]));
    pen.lineTo(sx(q[2 * i]), sy(q[2 * i + 1]));
  };

  const draw = () => {
    queued = false;
    pen.clearRect(0, 0, width, height);
    const branches = shownBranches(), ink = getComputedStyle(document.body).getPropertyValue("--line");
    if (at("lines").checked && branches.length > 1) {
      pen.strokeStyle = ink; pen.globalAlpha = 0.07; pen.lineWidth = 0.7;
      pen.beginPath();
      for (let i = 0; i < data.ids.length; i++) if (!isHidden(i)) join(branches[0], branches[1], i);
      pen.stroke();
    }
    pen.globalAlpha = 0.75;
    const r = Math.min(5, 2.2 * Math.sqrt(state.zoom));
    grid = new Map();
    branches.forEach((branch) => {
      const p = state.map.parts[branch], kind = MARKS[data.branches.indexOf(branch) % 3];
      for (let i = 0; i < data.ids.length; i++) {
        if (isHidden(i)) continue;
        const x = sx(p[2 * i]), y = sy(p[2 * i + 1]);
        if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
        pen.fillStyle = color(branch, i);
        mark(kind, x, y, r); pen.fill();
        const cell = Math.floor(x / NEAR) + ":" + Math.floor(y / NEAR);
        const own = grid.get(cell);
        if (own) own.push([branch, i, x, y]); else grid.set(cell, [[branch, i, x, y]]);
      }
    });
    pen.globalAlpha = 1;
    if (state.near) {
      const { i } = state.near;
      pen.strokeStyle = ink; pen.lineWidth = 1.5;
      if (branches.length > 1) { pen.beginPath(); join(branches[0], branches[1], i); pen.stroke(); }
      for (const branch of branches) {
        const p = state.map.parts[branch];
        pen.fillStyle = color(branch, i);
        mark(MARKS[data.branches.indexOf(branch) % 3], sx(p[2 * i]), sy(p[2 * i + 1]), r + 3);
        pen.fill(); pen.stroke();
      }
    }
  };
  const redraw = () => { if (!queued) { queued = true; requestAnimationFrame(draw); } };

  const resize = () => {
    const box = canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
    width = box.width; height = box.height;
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    unit = (Math.min(width, height) / 2 - 12) / RANGE;
    redraw();
  };

  const nearest = (x, y) => {
    let best = null, least = NEAR * NEAR;
    const cx = Math.floor(x / NEAR), cy = Math.floor(y / NEAR);
    for (let a = cx - 1; a <= cx + 1; a++)
      for (let b = cy - 1; b <= cy + 1; b++)
        for (const point of (grid && grid.get(a + ":" + b)) || []) {
          const d = (point[2] - x) ** 2 + (point[3] - y) ** 2;
          if (d < least) { least = d; best = { branch: point[0], i: point[1] }; }
        }
    return best;
  };

  const element = (name, css, text) => {
    const own = document.createElement(name);
    if (css) own.className = css;
    if (text !== undefined) own.textContent = text;
    return own;
  };

  const card = (near) => {
    const own = element("div"), pair = element("div", "pair");
    for (const branch of data.branches) {
      const tiles = data.tiles[branch];
      if (!tiles) continue;
      const picture = element("figure", branch === near.branch ? "near" : ""), image = element("i");
      const k = near.i % tiles.per_sheet, file = tiles.files[Math.floor(near.i / tiles.per_sheet)];
      const w = tiles.width * SCALE, h = tiles.height * SCALE;
      image.style.cssText = `width:${w}px;height:${h}px;background-image:url("${file}");` +
        `background-size:${tiles.columns * w}px auto;` +
        `background-position:-${(k % tiles.columns) * w}px -${Math.floor(k / tiles.columns) * h}px`;
      picture.append(image, branch);
      pair.append(picture);
    }
    const words = element("div", "words");
    words.append(element("b", "", data.ids[near.i]));
    for (const column of data.columns) {
      const c = column.codes[near.i];
      words.append(document.createElement("br"), `${column.name}: ${c < 0 ? "–" : column.values[c]}`);
    }
    own.append(pair, words);
    return own;
  };

  const show = (near, x, y) => {
    const isSame = state.near && near && state.near.i === near.i && state.near.branch === near.branch;
    if (!near) { tip.hidden = true; if (state.near) { state.near = null; redraw(); } return; }
    if (!isSame) { tip.replaceChildren(...card(near).childNodes); state.near = near; redraw(); }
    tip.hidden = false;
    const w = tip.offsetWidth, h = tip.offsetHeight;
    tip.style.left = `${Math.max(0, x + 18 + w > width ? x - w - 18 : x + 18)}px`;
    tip.style.top = `${Math.max(0, Math.min(y - h / 2, height - h))}px`;
  };

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  let held = null, moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    held = place(event); moved = 0; canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    if (!held) { show(nearest(x, y), x, y); return; }
    const dx = x - held[0], dy = y - held[1];
    moved += Math.abs(dx) + Math.abs(dy);
    if (moved < 4) return;
    tip.hidden = true;
    state.x -= dx / (unit * state.zoom); state.y += dy / (unit * state.zoom);
    held = [x, y]; redraw();
  });
  canvas.addEventListener("pointerup", (event) => {
    const [x, y] = place(event), isClick = held && moved < 4;
    held = null;
    const near = isClick ? nearest(x, y) : null;
    if (near) {
      const own = card(near);
      own.title = "click to remove";
      own.addEventListener("click", () => own.remove());
      at("kept").append(own);
    }
  });
  canvas.addEventListener("pointerleave", () => show(null));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const [x, y] = place(event), before = state.zoom;
    state.zoom = Math.min(400, Math.max(0.5, before * Math.exp(-event.deltaY * 0.0015)));
    const gain = (1 / before - 1 / state.zoom) / unit;
    state.x += (x - width / 2) * gain; state.y -= (y - height / 2) * gain;
    tip.hidden = true; redraw();
  }, { passive: false });

  const home = () => { state.zoom = 1; state.x = state.y = 0; redraw(); };
  const legend = () => {
    at("legend").replaceChildren();
    if (!state.column) return;
    state.column.values.forEach((value, c) => {
      const button = element("button", state.hidden.has(c) ? "off" : ""), dot = element("i");
      dot.style.background = data.colors[c % data.colors.length];
      button.type = "button";
      button.append(dot, value);
      button.addEventListener("click", () => {
        if (!state.hidden.delete(c)) state.hidden.add(c);
        legend(); redraw();
      });
      at("legend").append(button);
    });
  };
  const chooseColumn = (i) => {
    state.column = data.columns[i] || null; state.hidden.clear();
    at("column").value = i; legend(); redraw();
  };
  const branches = () => {
    at("branches").replaceChildren(...data.branches.map((branch, i) => {
      const label = element("label"), box = element("input");
      box.type = "checkbox"; box.checked = !state.off.has(branch);
      box.disabled = !state.map.parts[branch];
      box.addEventListener("change", () => {
        if (!state.off.delete(branch)) state.off.add(branch);
        redraw();
      });
      label.append(box, ` ${"●▲■"[i % 3]} ${branch} `);
      return label;
    }));
  };
  at("map").addEventListener("change", (event) => { state.map = data.maps[event.target.value]; branches(); home(); });
  at("column").addEventListener("change", (event) => chooseColumn(Number(event.target.value)));
  at("lines").addEventListener("change", redraw);
  at("home").addEventListener("click", home);
  at("find").addEventListener("input", (event) => {
    const text = event.target.value, i = text ? data.ids.findIndex((id) => id.includes(text)) : -1;
    const branch = shownBranches()[0];
    if (i < 0 || !branch) { show(null); return; }
    const p = state.map.parts[branch];
    show({ branch, i }, sx(p[2 * i]), sy(p[2 * i + 1]));
  });
  window.addEventListener("resize", resize);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  if (!data.maps.length) { canvas.parentElement.hidden = true; return; }
  branches(); chooseColumn(data.columns.length ? 0 : -1); resize();
  window.embeddingPage = { state, draw, show, nearest };
})();
