// Elements without HTML text: everything that comes from the API is set as text, so nothing of it can become markup.

/** element('p', { class: 'empty', onclick: f }, 'text', child) */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children)
}

export function vector(name, attributes = {}, ...children) {
  return fill(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children)
}

export const byId = (id) => document.getElementById(id)

/** Brings the children of `parent` in step with `items`; an element stays, with its focus, as long as its key does. */
export function keyed(parent, items, key, create, update) {
  const present = new Map([...parent.children].map((child) => [child.dataset.key, child]))
  let previous = null
  for (const item of items) {
    const name = String(key(item))
    let child = present.get(name)
    if (!child) {
      child = create(item)
      child.dataset.key = name
    }
    present.delete(name)
    update(child, item)
    const place = previous ? previous.nextSibling : parent.firstChild
    if (place !== child) parent.insertBefore(child, place)
    previous = child
  }
  for (const child of present.values()) child.remove()
}

/** Sets text only when it differs, so that a selection survives. */
export function text(target, value) {
  if (target.textContent !== value) target.textContent = value
}

function fill(target, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) target.addEventListener(name.slice(2), value)
    else if (value !== null && value !== false) target.setAttribute(name, value === true ? '' : value)
  }
  target.append(...children)
  return target
}
