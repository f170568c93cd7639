// The style of the widget. A page can set the custom properties, and style the element itself.

export const STYLE = `
:host {
  display: block;
  max-width: 32rem;
  color-scheme: light dark;
  font: 1rem/1.5 system-ui, sans-serif;
  --facepad-accent: light-dark(#1f5c4d, #7cc7b0);
  --facepad-on-accent: light-dark(#ffffff, #10201b);
}
:host([hidden]), [hidden] { display: none !important; }
h2, p, ol { margin: 0 0 .75rem; }
h2 { font: inherit; font-weight: 600; font-size: 1.25rem; }
#stage { position: relative; aspect-ratio: 4 / 3; overflow: hidden; border-radius: 14px; background: #24272b; }
#stage > * { position: absolute; inset: 0; width: 100%; height: 100%; }
video { object-fit: contain; }
video.mirrored { transform: scaleX(-1); }
ellipse { fill: none; stroke: #fff; stroke-width: 2; stroke-dasharray: 7 6; }
#stage > #step {
  inset: auto 0 0;
  height: auto;
  box-sizing: border-box;
  margin: 0;
  padding: .6rem 1rem;
  background: rgb(12 13 14 / .8);
  color: #fff;
  font-size: 1.15rem;
  text-align: center;
}
.mark { color: var(--facepad-accent); font-weight: 700; }
progress { display: block; width: 100%; margin: .5rem 0; accent-color: var(--facepad-accent); }
#task, #status:not(.unseen), #problem { margin: .75rem 0; }
#problem { color: light-dark(#a3271c, #ff9c8d); }
#status:empty, #problem:empty { margin: 0; }
#buttons { display: flex; flex-wrap: wrap; gap: .6rem; }
button, #picker {
  box-sizing: border-box;
  min-height: 2.75rem;
  padding: .55rem 1rem;
  border: 1px solid currentColor;
  border-radius: 10px;
  background: none;
  color: inherit;
  font: inherit;
  cursor: pointer;
}
#go { border-color: transparent; background: var(--facepad-accent); color: var(--facepad-on-accent); }
[aria-disabled="true"] { opacity: .65; cursor: default; }
#file, .unseen { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); }
button:focus-visible, #picker:focus-within { outline: 3px solid var(--facepad-accent); outline-offset: 2px; }
`;
