// The address bar as a signal, and links that do not load the page again.
import { createSignal } from 'solid-js';

export interface Place {
  path: string;
  query: URLSearchParams;
}

export function placeOf(href: string): Place {
  const url = new URL(href, 'http://x');
  return { path: url.pathname.length > 1 ? url.pathname.replace(/\/+$/, '') : '/', query: url.searchParams };
}

const here = () => placeOf(location.pathname + location.search);
const [place, setPlace] = createSignal<Place>(typeof location === 'undefined' ? placeOf('/') : here());

export { place };

/** Goes to an address of this page; `replace` leaves no step back. */
export function navigate(href: string, how: { replace?: boolean } = {}): void {
  if (href === location.pathname + location.search) return;
  history[how.replace === true ? 'replaceState' : 'pushState'](null, '', href);
  setPlace(here());
  if (how.replace !== true) scrollTo(0, 0);
}

/** Writes the address without telling the screens: for what they know already (the second that is played). */
export function note(href: string): void {
  history.replaceState(null, '', href);
}

/** Starts listening: back and forward, and clicks on links. */
export function startRouter(): void {
  addEventListener('popstate', () => setPlace(here()));
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return;
    if (/^\/(api|live|vod|objects)\//.test(link.pathname)) return;
    event.preventDefault();
    navigate(link.pathname + link.search);
  });
}
