// Who did, watched and downloaded what.
import { createSignal, For, Show, type Component } from 'solid-js';
import * as api from '../api';
import { asProblem, type Problem } from '../api/problem';
import type { AuditEntry } from '../api/types';
import { clock, moment } from '../format';
import { ProblemNote, Spinner } from '../ui/parts';

const Audit: Component = () => {
  const [entries, setEntries] = createSignal<AuditEntry[]>();
  const [next, setNext] = createSignal<string>();
  const [problem, setProblem] = createSignal<Problem>();
  const more = async () => {
    try {
      const after = next();
      const page = await api.audit({ limit: 100, ...(after !== undefined && { after }) });
      setEntries((all) => [...(all ?? []), ...page.items]);
      setNext(page.next);
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  void more();
  return (
    <section class="stack">
      <ProblemNote problem={problem()} />
      <Show when={entries()} fallback={<Show when={!problem()}><Spinner /></Show>}>
        <div class="table-box cards"><table>
          <thead><tr><th>When</th><th>Who</th><th>What</th><th>Footage</th><th>Detail</th></tr></thead>
          <tbody><For each={entries()} fallback={<tr><td colspan="5" class="muted">Nothing yet.</td></tr>}>{(entry) => (
            <tr>
              <td class="num nowrap" data-label="When">{moment(entry.at)}</td>
              <td data-label="Who"><span>{entry.who.replace(/^user:/, '')}<Show when={entry.address}> <small class="muted">{entry.address}</small></Show></span></td>
              <td data-label="What"><span class="badge">{entry.action}</span></td>
              <td class="nowrap" data-label="Footage"><Show when={entry.device}><span>{entry.device}{entry.camera === undefined ? '' : `, ${entry.camera}`}<Show when={entry.from !== undefined && entry.to !== undefined}><br /><small class="muted num">{moment(entry.from ?? 0)} – {clock(entry.to ?? 0)}</small></Show></span></Show></td>
              <td class="detail" data-label="Detail">{entry.detail}</td>
            </tr>
          )}</For></tbody>
        </table></div>
        <Show when={next()}><div><button type="button" class="button" onClick={() => void more()}>Show more</button></div></Show>
      </Show>
    </section>
  );
};

export default Audit;
