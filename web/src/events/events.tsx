// What was marked, by people and by vehicles: find it, watch it, lock or unlock it.
import { createSignal, For, Show, type Component } from 'solid-js';
import * as api from '../api';
import type { VehicleEvent } from '../api/types';
import { ago, duration, moment } from '../format';
import { createPoll } from '../poll';
import { may } from '../session';
import { Icon } from '../ui/icons';
import { Empty, IconButton, PageHead, ProblemNote, Spinner } from '../ui/parts';
import { toastProblem } from '../ui/toast';
import { EventDialog } from '../vehicle/event-dialog';

const Events: Component = () => {
  const [search, setSearch] = createSignal('');
  const [onlyLocked, setOnlyLocked] = createSignal(false);
  const [opened, setOpened] = createSignal<VehicleEvent>();
  const [older, setOlder] = createSignal<VehicleEvent[]>([]);
  const [next, setNext] = createSignal<string>();
  const list = createPoll(async (signal) => {
    const page = await api.events({ limit: 200 }, signal);
    if (older().length === 0) setNext(page.next);
    return page;
  }, 10_000);
  const all = () => {
    const first = list.data()?.items ?? [];
    const known = new Set(first.map((event) => event.id));
    return [...first, ...older().filter((event) => !known.has(event.id))];
  };
  const found = () => all()
    .filter((event) => (!onlyLocked() || event.locked) && `${event.device} ${event.camera ?? ''} ${event.kind} ${event.note ?? ''}`.toLowerCase().includes(search().toLowerCase()))
    .sort((a, b) => b.from - a.from);
  const more = async () => {
    try {
      const page = await api.events({ limit: 200, ...(next() !== undefined && { after: next() }) });
      setOlder((events) => [...events, ...page.items]);
      setNext(page.next);
    } catch (error) {
      toastProblem(error);
    }
  };
  const toggle = async (event: VehicleEvent) => {
    await api.changeEvent(event.id, { locked: !event.locked }).catch(toastProblem);
    setOlder((events) => events.map((one) => (one.id === event.id ? { ...one, locked: !event.locked } : one)));
    void list.refresh();
  };
  return (
    <main class="page" tabindex="-1">
      <PageHead title="Events" lead="What somebody or something marked. Locked footage is never deleted.">
        <Show when={all().length > 0}>
          <label class="search"><Icon name="search" /><span class="visually-hidden">Find an event</span><input type="search" placeholder="Find an event" value={search()} onInput={(event) => setSearch(event.currentTarget.value)} /></label>
          <button type="button" class="button" classList={{ primary: onlyLocked() }} aria-pressed={onlyLocked()} onClick={() => setOnlyLocked((on) => !on)}><Icon name="lock" />Locked only</button>
        </Show>
      </PageHead>
      <Show when={list.data()} fallback={<Show when={list.problem()} fallback={<div class="splash"><Spinner /></div>}>{(problem) => <ProblemNote problem={problem()} />}</Show>}>
        <Show when={all().length > 0} fallback={<Empty icon="flag" title="No events yet"><p>Press <kbd>M</kbd> on a vehicle's page to mark a moment, or let the vehicle do it: <code>dashvault lock</code>, its button or its sensor.</p></Empty>}>
          <div class="table-box cards">
            <table>
              <thead><tr><th>When</th><th>Vehicle</th><th>What</th><th class="number">Length</th><th>Lock</th><th><span class="visually-hidden">Actions</span></th></tr></thead>
              <tbody>
                <For each={found()} fallback={<tr><td colspan="6" class="muted">None is like that.</td></tr>}>
                  {(event) => (
                    <tr data-event={event.id}>
                      <td class="num nowrap" data-label="When"><span><a href={href(event)}>{moment(event.from)}</a><br /><small class="muted">{ago(event.from, Date.now())}</small></span></td>
                      <td data-label="Vehicle"><span>{event.device}<Show when={event.camera}><small class="muted"> {event.camera}</small></Show></span></td>
                      <td data-label="What"><span>{event.note ?? event.kind}<Show when={event.note}><br /><small class="muted">{event.kind}{event.created_by ? `, ${event.created_by}` : ''}</small></Show></span></td>
                      <td class="number" data-label="Length">{duration(Math.max(event.to - event.from, 1000))}</td>
                      <td data-label="Lock"><span class="badge" classList={{ accent: event.locked }}><Icon name={event.locked ? 'lock' : 'unlock'} />{event.locked ? 'locked' : 'not locked'}</span></td>
                      <td class="actions">
                        <Show when={may('operator')}><button type="button" class="button small" onClick={() => void toggle(event)}>{event.locked ? 'Unlock' : 'Lock'}</button></Show>
                        <IconButton icon="eye" label="Details" onClick={() => setOpened(event)} />
                      </td>
                    </tr>
                  )}
                </For>
              </tbody>
            </table>
          </div>
          <Show when={next()}><button type="button" class="button" onClick={() => void more()}>Show more</button></Show>
        </Show>
      </Show>
      <Show when={opened()}>{(event) => <EventDialog event={event()} close={() => setOpened(undefined)} changed={() => void list.refresh()} />}</Show>
    </main>
  );
};

function href(event: VehicleEvent): string {
  const camera = event.camera === undefined ? '' : `camera=${encodeURIComponent(event.camera)}&`;
  return `/d/${encodeURIComponent(event.device)}?${camera}at=${event.from}`;
}

export default Events;
