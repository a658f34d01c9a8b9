// One vehicle: its cameras, now or at any past second, and the timeline they are found by.
import { batch, createEffect, createMemo, createSignal, For, on, onCleanup, onMount, Show, type Component } from 'solid-js';
import * as api from '../api';
import type { Span, VehicleEvent } from '../api/types';
import { ClipDialog } from '../clips/clip-dialog';
import { ago, clock, duration } from '../format';
import { createPoll } from '../poll';
import { note, place } from '../router';
import { may } from '../session';
import { grown, nextGap, nextOf, previousGap, previousOf } from '../timeline/spans';
import { Legend, Timeline, type Selection } from '../timeline/timeline';
import { bounded, following, width, zoomed, type Viewport } from '../timeline/viewport';
import { Icon } from '../ui/icons';
import { Empty, IconButton, ProblemNote } from '../ui/parts';
import { toast, toastProblem } from '../ui/toast';
import { Health } from '../devices/health';
import { Controls } from './controls';
import { EventDialog } from './event-dialog';
import { KeysDialog } from './keys-dialog';
import { actionOf, takesKeys, type Action } from './keys';
import { createHistory } from './history';
import { StageView } from './stage-view';
import { createTransport } from './transport';

const HOUR = 3_600_000;
/** As many low-latency players as leave a browser's connections for the rest. */
const CLOSE_PLAYERS = 3;

const Vehicle: Component<{ device: string }> = (props) => {
  const device = props.device;
  const asked = Number(place().query.get('at')) || undefined;
  const [now, setNow] = createSignal(Date.now());
  const wide = Number(place().query.get('wide')) || HOUR;
  const [view, setView] = createSignal<Viewport>(bounded({ from: (asked ?? Date.now()) - wide / 2, to: (asked ?? Date.now()) + wide / 2 }, Date.now()));
  const [all, setAll] = createSignal(false);
  const [muted, setMuted] = createSignal(true);
  const [selection, setSelection] = createSignal<Selection>();
  const [dialog, setDialog] = createSignal<'clip' | 'keys'>();
  const [opened, setOpened] = createSignal<VehicleEvent>();
  const [picked, setPicked] = createSignal<{ camera: string; span: Span }>();
  let touchedAt = 0;
  let main!: HTMLElement;

  const info = createPoll((signal) => api.deviceOf(device, signal), 5000);
  const history = createHistory(device, view, () => main?.clientWidth || 1000);
  const spansOf = (camera: string) => history.rows().find((row) => row.camera === camera)?.spans ?? [];
  const transport = createTransport(device, spansOf);

  const names = createMemo(
    () => {
      const known = [...(info.data()?.cameras.map((camera) => camera.name) ?? []), ...history.rows().map((row) => row.camera)];
      return [...new Set(known)].sort();
    },
    [],
    { equals: (a, b) => a.join() === b.join() },
  );
  const shown = createMemo(() => (all() ? names() : names().filter((name) => name === transport.lead())));
  const isLiveNow = (camera: string) => info.data()?.cameras.find((one) => one.name === camera)?.live === true;
  const rows = createMemo(() => names().map((camera) => {
    const spans = spansOf(camera);
    return { camera, spans: isLiveNow(camera) ? grown(spans, now()) : spans };
  }));

  createEffect(on(names, (known) => {
    if (known.length === 0 || known.includes(transport.lead())) return;
    const wanted = place().query.get('camera') ?? '';
    const live = info.data()?.cameras.find((camera) => camera.live)?.name;
    transport.setLead(known.includes(wanted) ? wanted : live ?? known[0] ?? '');
    if (asked !== undefined) transport.seek(asked);
  }));

  const moved = (to: Viewport) => {
    touchedAt = Date.now();
    setView(to);
  };
  const seek = (at: number) => batch(() => {
    setPicked(undefined);
    transport.seek(at);
    setView((current) => following(current, at, Date.now()));
  });

  const timer = setInterval(() => {
    setNow(Date.now());
    if (transport.playing() && Date.now() - touchedAt > 6000) setView((current) => following(current, transport.wall(), Date.now()));
    const query = new URLSearchParams({ camera: transport.lead(), ...(transport.mode() === 'recorded' && { at: String(Math.round(transport.wall())) }) });
    if (transport.lead() !== '' && place().path.startsWith('/d/')) note(`/d/${encodeURIComponent(device)}?${query.toString()}`);
  }, 1000);
  onCleanup(() => clearInterval(timer));

  const mark = async () => {
    const at = Math.round(transport.wall());
    try {
      const event = await api.mark({ device, from: at - 10_000, to: at + 10_000, kind: 'manual', locked: true });
      history.setEvents((events) => [...events, event]);
      toast('Event marked and locked', `${clock(event.from)} to ${clock(event.to)}; retention will not delete it.`);
    } catch (error) {
      toastProblem(error);
    }
  };

  const fetchNow = async (camera: string, span: Span) => {
    try {
      await api.fetchNow(device, camera, { from: span.from, to: span.to });
      toast('Asked for', 'The vehicle sends it next, when it has a link.');
      setPicked(undefined);
      history.refresh();
    } catch (error) {
      toastProblem(error);
    }
  };

  const jump = (to: number | undefined, what: string) => (to === undefined ? transport.say(`No ${what} in what is loaded. Zoom out to look further.`) : seek(to));
  const spans = () => spansOf(transport.lead());
  const clipAround = () => {
    const at = Math.round(transport.wall());
    setSelection((current) => current ?? { from: at - 15_000, to: Math.min(at + 15_000, Date.now()) });
    setDialog('clip');
  };

  const act = (action: Action) => {
    const at = transport.wall();
    if (action.startsWith('camera-')) {
      const name = names()[Number(action.slice(7)) - 1];
      if (name !== undefined) transport.setLead(name);
      return;
    }
    const actions: Partial<Record<Action, () => void>> = {
      toggle: () => (transport.playing() ? transport.pause() : transport.play()),
      slower: () => transport.faster(-1),
      faster: () => transport.faster(1),
      back: () => seek(at - 5000),
      forth: () => seek(at + 5000),
      'back-far': () => seek(at - 60_000),
      'forth-far': () => seek(at + 60_000),
      'frame-back': () => transport.step(-1),
      'frame-forth': () => transport.step(1),
      'zoom-in': () => moved(zoomed(view(), 0.5, at, Date.now())),
      'zoom-out': () => moved(zoomed(view(), 2, at, Date.now())),
      // A second before the gap, so that one sees what led to it.
      'next-gap': () => jump(minus(nextGap(spans(), at + 1500), 1000), 'later gap'),
      'previous-gap': () => jump(minus(previousGap(spans(), at), 1000), 'earlier gap'),
      'next-event': () => jump(nextOf(history.events(), at)?.from, 'later event'),
      'previous-event': () => jump(previousOf(history.events(), at)?.from, 'earlier event'),
      live: () => goLive(),
      mark: () => may('operator') && void mark(),
      clip: () => may('operator') && clipAround(),
      'clip-start': () => setSelection((current) => ({ from: Math.round(at), to: Math.max(current?.to ?? 0, Math.round(at) + 5000) })),
      'clip-end': () => setSelection((current) => ({ from: Math.min(current?.from ?? Infinity, Math.round(at) - 5000), to: Math.round(at) })),
      mute: () => setMuted((now) => !now),
      full: () => (document.fullscreenElement ? void document.exitFullscreen() : void main.querySelector('.stages')?.requestFullscreen()),
      help: () => setDialog('keys'),
    };
    actions[action]?.();
  };

  const goLive = () => {
    transport.goLive();
    moved(bounded({ from: Date.now() - width(view()) * 0.9, to: Date.now() + width(view()) * 0.1 }, Date.now()));
  };

  const onKey = (event: KeyboardEvent) => {
    if (takesKeys(event.target, event.key)) return;
    const action = actionOf(event);
    if (action === undefined) return;
    event.preventDefault();
    act(action);
  };
  onMount(() => addEventListener('keydown', onKey));
  onCleanup(() => removeEventListener('keydown', onKey));

  const isLive = () => isLiveNow(transport.lead());

  return (
    <main class="page vehicle" tabindex="-1" ref={main}>
      <header class="vehicle-head">
        <a class="icon-button" href="/" aria-label="All cameras" title="All cameras"><Icon name="back" /></a>
        <h1>{device}</h1>
        <Show when={info.data()}>{(known) => <Health device={known()} now={now()} />}</Show>
        <div class="vehicle-tools">
          <Show when={names().length > 1}>
            <button type="button" class="button small" aria-pressed={all()} classList={{ primary: all() }} onClick={() => setAll((on) => !on)}><Icon name="grid" />All {names().length}</button>
          </Show>
          <Show when={may('operator')}>
            <button type="button" class="button small" onClick={() => void mark()} title="Mark and lock an event here (M)"><Icon name="flag" />Mark</button>
            <button type="button" class="button small" onClick={clipAround} title="Make a clip (C)"><Icon name="scissors" />Clip</button>
          </Show>
          <IconButton icon="help" label="Keys" onClick={() => setDialog('keys')} />
        </div>
      </header>
      <Show when={!info.data()}><ProblemNote problem={info.problem()} /></Show>
      <Show when={names().length > 0} fallback={
        <Show when={info.data()}>
          <Empty icon="camera" title="Nothing recorded yet">
            <p>As soon as this vehicle's recorder runs and reaches the vault, its cameras appear here.</p>
            <a class="button" href="/devices">How to start its recorder</a>
          </Empty>
        </Show>
      }>
        <div class="stages" data-count={shown().length}>
          <For each={shown()}>
            {(camera) => <StageView camera={camera} transport={transport} muted={muted() || camera !== transport.lead()} lead={camera === transport.lead()} only={shown().length === 1} live={info.data()?.cameras.find((one) => one.name === camera)?.live !== false} pace={all() && names().length > CLOSE_PLAYERS ? 'calm' : 'close'} choose={() => transport.setLead(camera)} />}
          </For>
          <Show when={transport.said()}><p class="stage-say" role="status">{transport.said()}</p></Show>
        </div>
        <Controls transport={transport} muted={muted()} act={act} seek={seek} cameras={names()} all={all()} isLive={isLive()} />
        <Timeline rows={rows()} events={history.events()} view={view()} setView={moved} wall={transport.wall()} lead={transport.lead()} now={now()}
          selection={selection()} setSelection={setSelection} open={setOpened}
          seek={(at, camera) => {
            if (camera !== undefined && names().includes(camera)) transport.setLead(camera);
            seek(at);
          }}
          pick={(camera, span) => setPicked(span.state === 'on_vehicle' ? { camera, span } : undefined)} />
        <div class="timeline-foot">
          <Legend />
          <div class="zooms">
            <IconButton icon="minus" label="Zoom out" onClick={() => act('zoom-out')} />
            <For each={[['1 min', 60_000], ['1 h', HOUR], ['1 d', 24 * HOUR], ['1 w', 168 * HOUR]] as const}>
              {([label, wide]) => (
                <button type="button" class="button small" onClick={() => moved(bounded({ from: transport.wall() - wide / 2, to: transport.wall() + wide / 2 }, Date.now()))}>{label}</button>
              )}
            </For>
            <IconButton icon="plus" label="Zoom in" onClick={() => act('zoom-in')} />
          </div>
        </div>
        <Show when={picked()}>
          {(one) => (
            <div class="note warn picked" role="status">
              <span><strong>{duration(one().span.to - one().span.from)} of {one().camera}</strong> from {clock(one().span.from)} are still on the vehicle. They arrive by themselves when its link allows.</span>
              <Show when={may('operator')} fallback={<span>An operator can have them sent first.</span>}>
                <button type="button" class="button small primary" onClick={() => void fetchNow(one().camera, one().span)}>Fetch now</button>
              </Show>
            </div>
          )}
        </Show>
        <ProblemNote problem={history.problem()?.away ? undefined : history.problem()} />
        <EventsInView events={history.events()} view={view()} seek={seek} open={setOpened} />
      </Show>
      <Show when={dialog() === 'keys'}><KeysDialog close={() => setDialog(undefined)} /></Show>
      <Show when={dialog() === 'clip' && selection()}>
        {(range) => <ClipDialog device={device} cameras={names()} camera={transport.lead()} range={range()} setRange={setSelection} spans={spans()} close={() => { setDialog(undefined); setSelection(undefined); }} />}
      </Show>
      <Show when={opened()}>
        {(event) => <EventDialog event={event()} close={() => setOpened(undefined)} changed={history.refresh} show={() => { setOpened(undefined); seek(event().from); }} />}
      </Show>
    </main>
  );
};

const minus = (value: number | undefined, by: number) => (value === undefined ? undefined : value - by);

const EventsInView: Component<{ events: VehicleEvent[]; view: Viewport; seek: (at: number) => void; open: (event: VehicleEvent) => void }> = (props) => {
  const visible = () => props.events.filter((event) => event.to > props.view.from && event.from < props.view.to).sort((a, b) => b.from - a.from).slice(0, 20);
  return (
    <Show when={visible().length > 0}>
      <section class="stack" aria-label="Events in view">
        <h2>Events in view</h2>
        <ul class="event-strip">
          <For each={visible()}>
            {(event) => (
              <li class="card event-chip">
                <button type="button" class="event-go" onClick={() => props.seek(event.from)} title="Show it">
                  <strong class="num">{clock(event.from)}</strong><span>{event.note ?? event.kind}</span><small class="muted">{ago(event.from, Date.now())}</small>
                </button>
                <IconButton icon={event.locked ? 'lock' : 'unlock'} label={event.locked ? 'Locked. Details' : 'Not locked. Details'} onClick={() => props.open(event)} />
              </li>
            )}
          </For>
        </ul>
      </section>
    </Show>
  );
};

export default Vehicle;
