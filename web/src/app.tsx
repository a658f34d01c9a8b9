// Who is here decides between first run, sign-in and the screens; the address decides which screen.
import { createEffect, ErrorBoundary, lazy, Match, onCleanup, Show, Suspense, Switch, type Component } from 'solid-js';
import { asProblem } from './api/problem';
import { awaySince } from './api/client';
import { place } from './router';
import { recall, standing } from './session';
import { FirstRun, SignIn } from './entry';
import { Shell } from './shell';
import { Wall } from './wall/wall';
import { ProblemNote, Spinner } from './ui/parts';
import { Toasts } from './ui/toast';
import { clock } from './format';

const Vehicle = lazy(() => import('./vehicle/vehicle'));
const Events = lazy(() => import('./events/events'));
const Clips = lazy(() => import('./clips/clips'));
const Imports = lazy(() => import('./imports/imports'));
const Devices = lazy(() => import('./devices/devices'));
const Settings = lazy(() => import('./settings/settings'));

export const App: Component = () => {
  let timer = 0;
  const find = () => recall().catch(() => (timer = window.setTimeout(find, 2000)));
  void find();
  onCleanup(() => clearTimeout(timer));
  return (
    <>
      <Switch fallback={<div class="splash"><Spinner /><Show when={awaySince()}><Away /></Show></div>}>
        <Match when={standing().kind === 'first-run'}><FirstRun /></Match>
        <Match when={standing().kind === 'signed-out'}><SignIn /></Match>
        <Match when={standing().kind === 'signed-in'}>
          <Shell banner={<Show when={awaySince()}><Away /></Show>}>
            <ErrorBoundary fallback={(error, reset) => (
              <main class="page">
                <ProblemNote problem={asProblem(error)} />
                <button type="button" class="button" onClick={reset}>Try again</button>
              </main>
            )}>
              <Suspense fallback={<div class="splash"><Spinner /></div>}><Screen /></Suspense>
            </ErrorBoundary>
          </Shell>
        </Match>
      </Switch>
      <Toasts />
    </>
  );
};

/** The bar that says that the vault is away, and since when. */
const Away: Component = () => {
  return (
    <div class="away" role="status">
      The vault does not answer (since {clock(awaySince() ?? Date.now())}). What you see is the last it said; this page goes on by itself.
    </div>
  );
};

const TITLES: [RegExp, string][] = [
  [/^\/$/, 'Live'], [/^\/events/, 'Events'], [/^\/clips/, 'Clips'], [/^\/imports/, 'Import'],
  [/^\/devices/, 'Devices'], [/^\/settings/, 'Settings'],
];

const Screen: Component = () => {
  const path = () => place().path;
  const vehicle = () => /^\/d\/([^/]+)$/.exec(path())?.[1];
  createEffect(() => {
    const device = vehicle();
    const title = device === undefined ? TITLES.find(([pattern]) => pattern.test(path()))?.[1] : decodeURIComponent(device);
    document.title = title === undefined ? 'Dashvault' : `${title} · Dashvault`;
  });
  return (
    <Switch fallback={<main class="page"><h1>No such page</h1><p>The address is wrong. <a href="/">Go to the live cameras</a>.</p></main>}>
      <Match when={path() === '/'}><Wall /></Match>
      <Match when={vehicle()} keyed>{(device) => <Vehicle device={decodeURIComponent(device)} />}</Match>
      <Match when={path() === '/events'}><Events /></Match>
      <Match when={path() === '/clips'}><Clips /></Match>
      <Match when={path() === '/imports'}><Imports /></Match>
      <Match when={path() === '/devices'}><Devices /></Match>
      <Match when={path().startsWith('/settings')}><Settings /></Match>
    </Switch>
  );
};
