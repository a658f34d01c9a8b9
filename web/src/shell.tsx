// The frame around every screen: where one can go, who one is, light or dark.
import { For, Show, type Component, type JSX } from 'solid-js';
import { place } from './router';
import { askForName, leave, may, session } from './session';
import { Icon, type IconName } from './ui/icons';
import { cycleTheme, theme } from './ui/theme';
import { toastProblem } from './ui/toast';
import { IconButton } from './ui/parts';

interface Target {
  href: string;
  label: string;
  icon: IconName;
  here: (path: string) => boolean;
}

const TARGETS: Target[] = [
  { href: '/', label: 'Live', icon: 'grid', here: (path) => path === '/' || path.startsWith('/d/') },
  { href: '/events', label: 'Events', icon: 'flag', here: (path) => path === '/events' },
  { href: '/clips', label: 'Clips', icon: 'scissors', here: (path) => path === '/clips' },
  { href: '/imports', label: 'Import', icon: 'upload', here: (path) => path === '/imports' },
  { href: '/devices', label: 'Devices', icon: 'truck', here: (path) => path === '/devices' },
  { href: '/settings', label: 'Settings', icon: 'gear', here: (path) => path.startsWith('/settings') },
];

export const Shell: Component<{ children: JSX.Element; banner: JSX.Element }> = (props) => {
  const shown = () => TARGETS.filter(({ href }) => may('operator') || (href !== '/clips' && href !== '/imports'));
  return (
    <div class="shell">
      <a class="skip" href="#content" onClick={(event) => { event.preventDefault(); document.querySelector<HTMLElement>('main')?.focus(); }}>Skip to content</a>
      <nav class="rail" aria-label="Main">
        <a class="brand" href="/"><img src="/icon.svg" alt="" width="28" height="28" /><span>Dashvault</span></a>
        <ul>
          <For each={shown()}>
            {(target) => (
              <li>
                <a href={target.href} class="rail-link" aria-current={target.here(place().path) ? 'page' : undefined}>
                  <Icon name={target.icon} /><span>{target.label}</span>
                </a>
              </li>
            )}
          </For>
        </ul>
        <div class="rail-foot">
          <button type="button" class="rail-link" onClick={cycleTheme} aria-label={`Colours: ${theme()}. Change`}>
            <Icon name={theme() === 'dark' ? 'moon' : theme() === 'light' ? 'sun' : 'half'} />
            <span>{theme() === 'auto' ? 'As the system' : theme() === 'dark' ? 'Dark' : 'Light'}</span>
          </button>
          <Show when={session()}>
            {(own) => (
              <div class="who">
                <a class="who-name" href="/settings/account" title="Your account">{own().name}<small>{own().role}</small></a>
                <Show when={!own().anonymous} fallback={<button type="button" class="button small" onClick={askForName}>Sign in</button>}>
                  <IconButton icon="exit" label="Sign out" onClick={() => leave().catch(toastProblem)} />
                </Show>
              </div>
            )}
          </Show>
        </div>
      </nav>
      <div class="content" id="content">{props.banner}{props.children}</div>
    </div>
  );
};
