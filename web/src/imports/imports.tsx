// Footage from elsewhere: drop files, see them arrive, and what became of them.
import { createEffect, createSignal, For, onCleanup, Show, type Component } from 'solid-js';
import * as api from '../api';
import { asProblem, type Problem } from '../api/problem';
import type { ImportJob } from '../api/types';
import { ago, bytes, fromInput, moment } from '../format';
import { createPoll } from '../poll';
import { Icon } from '../ui/icons';
import { Empty, Field, IconButton, PageHead, ProblemNote, Progress } from '../ui/parts';
import { keep, kept } from '../ui/theme';
import { toastProblem } from '../ui/toast';
import { upload } from './tus';

interface Sending {
  id: number;
  file: File;
  sent: number;
  problem?: Problem;
  abort: AbortController;
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
let last = 0;

const Imports: Component = () => {
  const [device, setDevice] = createSignal(kept('dashvault.import.device') ?? '');
  const [camera, setCamera] = createSignal('main');
  const [at, setAt] = createSignal('');
  const [over, setOver] = createSignal(false);
  const [sending, setSending] = createSignal<Sending[]>([]);
  const jobs = createPoll((signal) => api.importJobs({ limit: 200 }, signal), 2000);
  const devices = createPoll((signal) => api.devices(signal), 60_000);
  const cameras = () => devices.data()?.find((one) => one.id === device())?.cameras.map((one) => one.name) ?? [];
  const ready = () => NAME.test(device()) && NAME.test(camera());
  let picker!: HTMLInputElement;

  createEffect(() => {
    const first = devices.data()?.[0]?.id;
    if (device() === '' && first !== undefined) setDevice(first);
  });
  onCleanup(() => {
    for (const one of sending()) one.abort.abort();
  });

  const change = (id: number, to: Partial<Sending>) => setSending((all) => all.map((one) => (one.id === id ? { ...one, ...to } : one)));

  const begin = async (file: File) => {
    const one: Sending = { id: ++last, file, sent: 0, abort: new AbortController() };
    setSending((all) => [...all, one]);
    keep('dashvault.import.device', device());
    const key = `dashvault.upload.${device()}/${camera()}/${file.name}/${file.size}/${file.lastModified}`;
    const when = at() === '' ? undefined : fromInput(at());
    try {
      await upload({
        endpoint: api.IMPORTS,
        file,
        metadata: { device: device(), camera: camera(), filename: file.name, ...(when !== undefined && { at: String(when) }) },
        known: kept(key),
        remember: (url) => (url === undefined ? localStorage.removeItem(key) : keep(key, url)),
        progress: (sent) => change(one.id, { sent }),
        signal: one.abort.signal,
      });
      setSending((all) => all.filter(({ id }) => id !== one.id));
      void jobs.refresh();
    } catch (error) {
      if (one.abort.signal.aborted) setSending((all) => all.filter(({ id }) => id !== one.id));
      else change(one.id, { problem: asProblem(error) });
    }
  };
  // One after the other: the link is one, and the first is there sooner.
  let queue = Promise.resolve();
  const take = (files: FileList | null | undefined) => {
    for (const file of files ?? []) queue = queue.then(() => begin(file));
  };

  return (
    <main class="page" tabindex="-1">
      <PageHead title="Import" lead="Footage from a memory card, another camera or a phone. It lands on the timeline at its own time." />
      <section class="card stack">
        <div class="row fields">
          <div class="grow"><Field label="Vehicle"><input list="import-devices" required pattern={NAME.source} value={device()} onInput={(event) => setDevice(event.currentTarget.value)} /></Field></div>
          <div class="grow"><Field label="Camera"><input list="import-cameras" required pattern={NAME.source} value={camera()} onInput={(event) => setCamera(event.currentTarget.value)} /></Field></div>
          <div class="grow"><Field label="Begins at (only if the files do not say)"><input type="datetime-local" step="1" value={at()} onInput={(event) => setAt(event.currentTarget.value)} /></Field></div>
          <datalist id="import-devices"><For each={devices.data() ?? []}>{(one) => <option value={one.id} />}</For></datalist>
          <datalist id="import-cameras"><For each={cameras()}>{(name) => <option value={name} />}</For></datalist>
        </div>
        <div class="drop" classList={{ over: over(), off: !ready() }} data-testid="drop"
          onDragOver={(event) => { event.preventDefault(); setOver(true); }}
          onDragLeave={() => setOver(false)}
          onDrop={(event) => { event.preventDefault(); setOver(false); if (ready()) take(event.dataTransfer?.files); }}>
          <Icon name="upload" />
          <strong>{ready() ? 'Drop video files here' : 'Name the vehicle and the camera first'}</strong>
          <span class="muted">MP4, MOV, AVI, MKV or TS, up to 64 GB each. An upload that breaks off goes on where it was.</span>
          <button type="button" class="button" disabled={!ready()} onClick={() => picker.click()}>Choose files</button>
          <input ref={picker} class="visually-hidden" type="file" multiple accept="video/*,.ts,.mts,.m2ts,.avi,.mkv" tabindex="-1" aria-label="Video files" onChange={(event) => { take(event.currentTarget.files); event.currentTarget.value = ''; }} />
        </div>
        <For each={sending()}>
          {(one) => (
            <div class="sending">
              <span class="grow"><strong>{one.file.name}</strong> <small class="muted num">{bytes(one.sent)} of {bytes(one.file.size)}</small></span>
              <IconButton icon="cross" label="Stop" onClick={() => { one.abort.abort(); setSending((all) => all.filter(({ id }) => id !== one.id)); }} />
              <Progress value={one.file.size === 0 ? 1 : one.sent / one.file.size} label={`Upload of ${one.file.name}`} />
              <ProblemNote problem={one.problem} />
            </div>
          )}
        </For>
      </section>
      <ProblemNote problem={jobs.problem()?.away ? undefined : jobs.problem()} />
      <Show when={(jobs.data()?.items.length ?? 0) > 0} fallback={<Show when={jobs.data()}><Empty icon="upload" title="Nothing imported yet"><p>Scripts can do it too: <code>dashvault import</code>, or <code>curl -T</code>.</p></Empty></Show>}>
        <div class="table-box cards">
          <table>
            <thead><tr><th>File</th><th>Vehicle</th><th>Footage from</th><th>State</th><th><span class="visually-hidden">Actions</span></th></tr></thead>
            <tbody><For each={jobs.data()?.items}>{(job) => <JobRow job={job} remove={() => void api.removeImportJob(job.id).catch(toastProblem).then(() => jobs.refresh())} />}</For></tbody>
          </table>
        </div>
      </Show>
    </main>
  );
};

const JobRow: Component<{ job: ImportJob; remove: () => void }> = (props) => (
  <tr data-import={props.job.id} data-state={props.job.state}>
    <td data-label="File"><span><strong>{props.job.filename}</strong><Show when={props.job.created}>{(created) => <><br /><small class="muted">{ago(created(), Date.now())}</small></>}</Show></span></td>
    <td data-label="Vehicle">{props.job.device}, {props.job.camera}</td>
    <td class="num nowrap" data-label="Footage from"><Show when={props.job.from} fallback={<span class="muted">–</span>}>{(from) => <a href={`/d/${encodeURIComponent(props.job.device)}?camera=${encodeURIComponent(props.job.camera)}&at=${from() + 500}&wide=${wideFor(props.job)}`}>{moment(from())}</a>}</Show></td>
    <td data-label="State">
      <Show when={props.job.state !== 'running'} fallback={<Progress value={props.job.progress} label="Progress" />}>
        <span class="badge" classList={{ good: props.job.state === 'done', bad: props.job.state === 'failed' }}>{props.job.duplicate ? 'was here already' : props.job.state === 'done' ? 'on the timeline' : props.job.state}</span>
        <Show when={props.job.error}><small class="bad"> {props.job.error}</small></Show>
      </Show>
    </td>
    <td class="actions"><IconButton icon="trash" label="Forget this import" onClick={props.remove} /></td>
  </tr>
);

/** How much time to show around it, so that it is no hair on the timeline. */
const wideFor = (job: ImportJob) => Math.max(60_000, ((job.to ?? 0) - (job.from ?? 0)) * 2);

export default Imports;
