// Figures and rows on the page. Only what differs is written: focus, selection and scroll positions survive each second.

import { format, tone } from './format.js';

/** Shows `value` in `element`, in the way its `data-as` names. */
export function show(element, value) {
  const raw = value === null || value === undefined ? '' : String(value);
  if (element.dataset.value === raw) return;
  element.dataset.value = raw;
  const text = format(element.dataset.as, value);
  write(element, text);
  // What had to be shortened is whole where the pointer rests.
  if (text.endsWith('…') && text !== raw) element.title = raw;
  else if (element.title) element.removeAttribute('title');
  mark(element, 'tone', tone(element.dataset.as, value));
}

/** Sets the text of `element` if it is another one. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets a data attribute of `element` if it is another one. */
export function mark(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

/** What `path` ("tiers.memory.entries") leads to in `root`; undefined where a part on the way is missing. */
export function at(root, path) {
  return path.split('.').reduce((part, name) => part?.[name], root);
}

/**
 * The rows of one list. `id` names the element that holds them, its `<template>` ("ID-row") and, if there is one, the
 * sentence that stands for an empty list ("ID-none"). `keyOf` says which item is which, `marks` its data attributes.
 */
export class Rows {
  #body;
  #template;
  #none;
  #keyOf;
  #marks;
  #rows = new Map();
  #items = [];
  #sort = null;

  constructor(id, keyOf, marks) {
    this.#body = document.getElementById(id);
    this.#template = document.getElementById(`${id}-row`);
    this.#none = document.getElementById(`${id}-none`);
    this.#keyOf = keyOf;
    this.#marks = marks;
    this.#headers();
  }

  update(items) {
    this.#items = items;
    this.#fill(isBeingRead(this.#body));
  }

  // While somebody selects text in it the order stays as it is: a row that moves would take the selection along.
  #fill(keepOrder) {
    const seen = new Map();
    for (const item of this.#sorted()) {
      const key = unused(seen, String(this.#keyOf(item)));
      const row = this.#rows.get(key) ?? this.#row();
      for (const [name, value] of Object.entries(this.#marks(item))) mark(row.element, name, String(value));
      for (const { cell, name } of row.cells) show(cell, at(item, name));
      seen.set(key, row);
    }
    for (const [key, row] of this.#rows) if (!seen.has(key)) row.element.remove();
    this.#rows = seen;
    if (this.#none) this.#none.hidden = seen.size > 0;
    this.#place([...seen.values()].map((row) => row.element), keepOrder);
  }

  #row() {
    const element = this.#template.content.firstElementChild.cloneNode(true);
    const cells = [...element.querySelectorAll('[data-figure]')].map((cell) => ({ cell, name: cell.dataset.figure }));
    return { element, cells };
  }

  #place(elements, keepOrder) {
    let next = null;
    for (const element of elements.reverse()) {
      const isPlaced = keepOrder ? element.parentNode : element.parentNode && element.nextElementSibling === next;
      if (!isPlaced) this.#body.insertBefore(element, keepOrder ? null : next);
      next = element;
    }
  }

  #sorted() {
    if (!this.#sort) return this.#items;
    const { name, sign } = this.#sort;
    return [...this.#items].sort((a, b) => compare(a[name], b[name], sign));
  }

  #headers() {
    const buttons = [...(this.#body.closest('table')?.querySelectorAll('button[data-sort]') ?? [])];
    for (const button of buttons) {
      const header = button.closest('th');
      const given = header.getAttribute('aria-sort');
      if (given) this.#sort = { name: button.dataset.sort, sign: given === 'ascending' ? 1 : -1 };
      button.addEventListener('click', () => {
        const first = 'text' in button.dataset ? 'ascending' : 'descending';
        const second = first === 'ascending' ? 'descending' : 'ascending';
        const order = header.getAttribute('aria-sort') === first ? second : first;
        for (const other of buttons) other.closest('th').removeAttribute('aria-sort');
        header.setAttribute('aria-sort', order);
        this.#sort = { name: button.dataset.sort, sign: order === 'ascending' ? 1 : -1 };
        this.#fill(false);
      });
    }
  }
}

// What is unknown comes last in either order.
function compare(a, b, sign) {
  const isUnknown = (value) => value === null || value === undefined;
  if (isUnknown(a) || isUnknown(b)) return Number(isUnknown(a)) - Number(isUnknown(b));
  return sign * (typeof a === 'string' ? a.localeCompare(b) : a - b);
}

// Two purges of one moment may look the same; they are two all the same.
function unused(seen, key) {
  let free = key;
  for (let again = 2; seen.has(free); again += 1) free = `${key} (${again})`;
  return free;
}

function isBeingRead(element) {
  const selection = getSelection();
  return selection !== null && !selection.isCollapsed && selection.containsNode(element, true);
}
