// Making a clip: which camera, from when to when, as what; then its progress until it can be downloaded.
import { createSignal, For, onCleanup, Show, type Component } from 'solid-js';
import * as api from '../api';
import { asProblem, type Problem } from '../api/problem';
import type { Clip, Span } from '../api/types';
import { bytes, duration, fromInput, inputMoment } from '../format';
import { totals } from '../timeline/spans';
import type { Selection } from '../timeline/timeline';
import { Dialog, Field, ProblemNote, Progress } from '../ui/parts';
import { Icon } from '../ui/icons';

interface Props {
  device: string;
  cameras: string[];
  camera: string;
  range: Selection;
  setRange: (range: Selection) => void;
  spans: readonly Span[];
  close: () => void;
}

export const ClipDialog: Component<Props> = (props) => {
  const [camera, setCamera] = createSignal(props.camera);
  const [format, setFormat] = createSignal<'mp4' | 'ts'>('mp4');
  const [evidence, setEvidence] = createSignal(false);
  const [title, setTitle] = createSignal('');
  const [problem, setProblem] = createSignal<Problem>();
  const [clip, setClip] = createSignal<Clip>();
  const length = () => props.range.to - props.range.from;
  const held = () => {
    const sums = totals(props.spans, props.range);
    return { here: sums.live + sums.backfilled, vehicle: sums.on_vehicle };
  };
  let timer = 0;
  onCleanup(() => clearTimeout(timer));

  const watch = async () => {
    const current = clip();
    if (!current) return;
    try {
      const next = await api.clip(current.id);
      setClip(next);
      if (next.state !== 'waiting' && next.state !== 'running') return;
    } catch (error) {
      if (!asProblem(error).away) {
        setProblem(asProblem(error));
        return;
      }
    }
    timer = window.setTimeout(() => void watch(), 700);
  };

  const make = async (event: Event) => {
    event.preventDefault();
    setProblem(undefined);
    try {
      const range = { from: Math.round(props.range.from), to: Math.round(props.range.to) };
      setClip(await api.makeClip({ device: props.device, camera: camera(), ...range, format: format(), evidence: evidence(), ...(title().trim() !== '' && { title: title().trim() }) }));
      void watch();
    } catch (error) {
      setProblem(asProblem(error));
    }
  };

  const cancel = async () => {
    const current = clip();
    clearTimeout(timer);
    setClip(undefined);
    if (current) await api.removeClip(current.id).catch((error: unknown) => setProblem(asProblem(error)));
  };

  const edge = (name: 'from' | 'to') => (event: Event & { currentTarget: HTMLInputElement }) => {
    const at = fromInput(event.currentTarget.value);
    if (at !== undefined) props.setRange(name === 'from' ? { from: Math.min(at, props.range.to - 1000), to: props.range.to } : { from: props.range.from, to: Math.max(at, props.range.from + 1000) });
  };

  return (
    <Dialog title="Make a clip" close={props.close}>
      <Show when={clip()} fallback={
        <form class="stack" onSubmit={make}>
          <div class="row fields">
            <div class="grow"><Field label="From"><input type="datetime-local" step="1" required value={inputMoment(props.range.from)} onChange={edge('from')} /></Field></div>
            <div class="grow"><Field label="To"><input type="datetime-local" step="1" required value={inputMoment(props.range.to)} onChange={edge('to')} /></Field></div>
          </div>
          <div class="row" role="group" aria-label="Length">
            <span class="muted">{duration(length())}.</span>
            <For each={[-30, -10, 10, 30]}>
              {(seconds) => <button type="button" class="button small" onClick={() => props.setRange(seconds < 0 ? { from: props.range.from + seconds * 1000, to: props.range.to } : { from: props.range.from, to: Math.min(props.range.to + seconds * 1000, Date.now()) })}>{seconds < 0 ? `${-seconds} s earlier` : `${seconds} s longer`}</button>}
            </For>
          </div>
          <Show when={held().here < length() - 1500}>
            <p class="note warn">{held().here < 1000 ? 'Nothing of this range is in the vault.' : `${duration(held().here)} of it are in the vault; the clip has those.`}{held().vehicle > 1000 ? ` ${duration(held().vehicle)} are still on the vehicle: fetch them first to have them in the clip.` : ''}</p>
          </Show>
          <div class="row fields">
            <Show when={props.cameras.length > 1}>
              <div class="grow"><Field label="Camera"><select value={camera()} onChange={(event) => setCamera(event.currentTarget.value)}><For each={props.cameras}>{(name) => <option value={name}>{name}</option>}</For></select></Field></div>
            </Show>
            <div class="grow"><Field label="Format"><select value={format()} onChange={(event) => setFormat(event.currentTarget.value as 'mp4' | 'ts')}>
              <option value="mp4">MP4: plays everywhere</option><option value="ts">TS: byte for byte as recorded</option>
            </select></Field></div>
          </div>
          <Field label="Title"><input value={title()} maxlength={200} placeholder="What it shows, for the list of clips" onInput={(event) => setTitle(event.currentTarget.value)} /></Field>
          <label class="check"><input type="checkbox" checked={evidence()} onChange={(event) => setEvidence(event.currentTarget.checked)} />
            <span>With evidence<small class="muted">A bundle: the clip, the original recordings with the vehicle's signatures, and a report that anybody can check without this vault.</small></span></label>
          <ProblemNote problem={problem()} />
          <div class="row end"><button type="button" class="button" onClick={props.close}>Cancel</button><button type="submit" class="button primary"><Icon name="scissors" />Make clip</button></div>
        </form>
      }>
        {(current) => (
          <div class="stack" data-clip={current().id} data-state={current().state}>
            <p>{current().title ?? `${props.device}, ${current().camera}`}: {duration(current().covered_ms ?? current().to - current().from)}</p>
            <Show when={current().state === 'waiting' || current().state === 'running'}>
              <Progress value={current().progress} label="Progress of the clip" />
              <p class="muted num">{current().state === 'waiting' ? 'Waiting for its turn' : `${Math.round(current().progress * 100)} %`}{current().estimated_bytes === undefined ? '' : `, about ${bytes(current().estimated_bytes ?? 0)}`}</p>
              <div class="row end"><button type="button" class="button danger" onClick={() => void cancel()}>Cancel</button></div>
            </Show>
            <Show when={current().state === 'failed'}><div class="note failed" role="alert"><strong>The clip could not be made</strong><span>{current().error}</span></div></Show>
            <Show when={current().state === 'done'}>
              <Show when={(current().missing_ms ?? 0) > 500}><p class="note warn">{duration(current().missing_ms ?? 0)} of the range were not in the vault and are not in the clip.</p></Show>
              <div class="row end"><a class="button" href="/clips">All clips</a><a class="button primary" href={api.clipFile(current().id)} download=""><Icon name="download" />Download{current().bytes === undefined ? '' : ` (${bytes(current().bytes ?? 0)})`}</a></div>
            </Show>
            <ProblemNote problem={problem()} />
          </div>
        )}
      </Show>
    </Dialog>
  );
};
