// The parts of the settings, by address.
import { For, lazy, Match, Show, Suspense, Switch, type Component } from 'solid-js';
import { place } from '../router';
import { may, session } from '../session';
import type { Role } from '../api/types';
import { PageHead, Spinner } from '../ui/parts';
import { cycleTheme, theme } from '../ui/theme';
import { toastProblem } from '../ui/toast';
import { leave } from '../session';

const StoragePart = lazy(() => import('./storage'));
const Users = lazy(() => import('./users'));
const Tokens = lazy(() => import('./tokens'));
const Audit = lazy(() => import('./audit'));
const Account = lazy(() => import('./account'));

const PARTS: { name: string; label: string; role: Role }[] = [
  { name: 'storage', label: 'Storage and retention', role: 'viewer' },
  { name: 'users', label: 'Users', role: 'admin' },
  { name: 'tokens', label: 'API tokens', role: 'admin' },
  { name: 'audit', label: 'Audit log', role: 'admin' },
  { name: 'account', label: 'Your account', role: 'viewer' },
];

const Settings: Component = () => {
  const part = () => place().path.split('/')[2] ?? 'storage';
  return (
    <main class="page" tabindex="-1">
      <PageHead title="Settings">
        <div class="phone-only row">
          <button type="button" class="button small" onClick={cycleTheme}>Colours: {theme() === 'auto' ? 'system' : theme()}</button>
          <Show when={session() && !session()?.anonymous}><button type="button" class="button small" onClick={() => leave().catch(toastProblem)}>Sign out</button></Show>
        </div>
      </PageHead>
      <nav class="tabs" aria-label="Settings">
        <For each={PARTS.filter((one) => may(one.role))}>{(one) => <a href={`/settings/${one.name}`} aria-current={part() === one.name ? 'page' : undefined}>{one.label}</a>}</For>
      </nav>
      <Suspense fallback={<Spinner />}>
        <Switch>
          <Match when={part() === 'storage'}><StoragePart /></Match>
          <Match when={part() === 'users'}><Users /></Match>
          <Match when={part() === 'tokens'}><Tokens /></Match>
          <Match when={part() === 'audit'}><Audit /></Match>
          <Match when={part() === 'account'}><Account /></Match>
        </Switch>
      </Suspense>
    </main>
  );
};

export default Settings;
