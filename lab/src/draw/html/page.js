// Hovering over mail shows all of it and where it goes; the boxes above hide what is not of interest.
'use strict';
const aside = document.querySelector('aside');
for (const svg of document.querySelectorAll('figure svg')) {
  const parts = (mail) => svg.querySelectorAll(`[data-mail="${mail}"]`);
  const show = (target, on) => {
    const part = target.closest('[data-mail]');
    if (!part) return;
    for (const one of parts(part.dataset.mail)) one.classList.toggle('on', on);
    svg.classList.toggle('busy', on);
    const title = svg.querySelector(`.mail[data-mail="${part.dataset.mail}"] > title`);
    aside.hidden = !on;
    aside.textContent = on && title ? title.textContent : '';
  };
  svg.addEventListener('mouseover', (event) => show(event.target, true));
  svg.addEventListener('mouseout', (event) => show(event.target, false));
}
const counts = new Map();
for (const mail of document.querySelectorAll('.mail')) {
  counts.set(mail.dataset.kind, (counts.get(mail.dataset.kind) || 0) + 1);
}
const kinds = document.querySelector('.kinds');
for (const [kind, count] of counts) {
  const label = document.createElement('label');
  const box = document.createElement('input');
  box.type = 'checkbox';
  box.checked = true;
  box.addEventListener('change', () => {
    for (const part of document.querySelectorAll('[data-kind]')) {
      if (part.dataset.kind === kind) part.classList.toggle('off', !box.checked);
    }
  });
  label.append(box, ` ${kind} (${count})`);
  kinds.append(label);
}
kinds.hidden = counts.size < 2;
