// The clips that were made: their progress, download, cancel, remove.
import { For, Show, type Component } from 'solid-js';
import * as api from '../api';
import type { Clip } from '../api/types';
import { bytes, duration, moment } from '../format';
import { createPoll } from '../poll';
import { Icon } from '../ui/icons';
import { Empty, IconButton, PageHead, ProblemNote, Progress, Spinner } from '../ui/parts';
import { toastProblem } from '../ui/toast';

const Clips: Component = () => {
  const list = createPoll((signal) => api.clips({ limit: 200 }, signal), 2000);
  const remove = async (clip: Clip) => {
    list.set((page) => page && { ...page, items: page.items.filter((one) => one.id !== clip.id) });
    await api.removeClip(clip.id).catch(toastProblem);
    void list.refresh();
  };
  return (
    <main class="page" tabindex="-1">
      <PageHead title="Clips" lead="Exports of a range: to send, to keep, to take to the police. Make one on a vehicle's page." />
      <Show when={list.data()} fallback={<Show when={list.problem()} fallback={<div class="splash"><Spinner /></div>}>{(problem) => <ProblemNote problem={problem()} />}</Show>}>
        {(page) => (
          <Show when={page().items.length > 0} fallback={<Empty icon="scissors" title="No clips yet"><p>Open a vehicle, go to the second, and press <kbd>C</kbd> or <em>Clip</em>.</p><a class="button" href="/">Vehicles</a></Empty>}>
            <div class="table-box cards">
              <table>
                <thead><tr><th>Clip</th><th>From</th><th class="number">Length</th><th>Format</th><th>State</th><th><span class="visually-hidden">Actions</span></th></tr></thead>
                <tbody><For each={page().items}>{(clip) => <Row clip={clip} remove={() => void remove(clip)} />}</For></tbody>
              </table>
            </div>
          </Show>
        )}
      </Show>
    </main>
  );
};

const Row: Component<{ clip: Clip; remove: () => void }> = (props) => {
  const going = () => props.clip.state === 'waiting' || props.clip.state === 'running';
  return (
    <tr>
      <td data-label="Clip"><span><strong>{props.clip.title ?? `${props.clip.device}, ${props.clip.camera}`}</strong><Show when={props.clip.title}><br /><small class="muted">{props.clip.device}, {props.clip.camera}</small></Show></span></td>
      <td class="num nowrap" data-label="From"><a href={`/d/${encodeURIComponent(props.clip.device)}?camera=${encodeURIComponent(props.clip.camera)}&at=${props.clip.from}`}>{moment(props.clip.from)}</a></td>
      <td class="number" data-label="Length">{duration(props.clip.covered_ms ?? props.clip.to - props.clip.from)}</td>
      <td data-label="Format">{props.clip.format.toUpperCase()}{props.clip.evidence ? ' with evidence' : ''}</td>
      <td data-label="State">
        <Show when={going()} fallback={<span class="badge" classList={{ good: props.clip.state === 'done', bad: props.clip.state === 'failed' }} title={props.clip.error}>{props.clip.state === 'done' ? bytes(props.clip.bytes ?? 0) : props.clip.error ?? props.clip.state}</span>}>
          <Progress value={props.clip.progress} label="Progress" />
        </Show>
      </td>
      <td class="actions">
        <Show when={props.clip.state === 'done'}><a class="button small" href={api.clipFile(props.clip.id)} download=""><Icon name="download" />Download</a></Show>
        <IconButton icon={going() ? 'cross' : 'trash'} label={going() ? 'Cancel' : 'Remove'} onClick={props.remove} />
      </td>
    </tr>
  );
};

export default Clips;
