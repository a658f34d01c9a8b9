// What the vault holds, by what rules it deletes, and what those rules would delete now.
import { createSignal, For, Index, Show, type Component } from 'solid-js';
import * as api from '../api';
import { asProblem, type Problem } from '../api/problem';
import type { Retention, RetentionPreview, RetentionRule, Storage } from '../api/types';
import { bytes, count, day, moment } from '../format';
import { createPoll } from '../poll';
import { may } from '../session';
import { Icon } from '../ui/icons';
import { Field, IconButton, ProblemNote, Progress, Spinner } from '../ui/parts';
import { toast } from '../ui/toast';

const DAY = 86_400_000;
const GB = 1e9;

const StoragePart: Component = () => {
  const use = createPoll((signal) => api.storage(signal), 15_000);
  return (
    <div class="stack broad-gap">
      <Show when={use.data()} fallback={<Show when={use.problem()} fallback={<Spinner />}>{(problem) => <ProblemNote problem={problem()} />}</Show>}>
        {(storage) => <Usage storage={storage()} />}
      </Show>
      <Rules storage={use.data()} />
    </div>
  );
};

const Usage: Component<{ storage: Storage }> = (props) => {
  const [all, setAll] = createSignal(false);
  const largest = () => Math.max(...props.storage.cameras.map((camera) => camera.bytes), 1);
  const sorted = () => [...props.storage.cameras].sort((a, b) => b.bytes - a.bytes);
  const full = () => props.storage.bytes / (props.storage.bytes + (props.storage.free_bytes ?? 0) || 1);
  return (
    <section class="card stack">
      <h2>Storage</h2>
      <div class="figures">
        <div><strong>{bytes(props.storage.bytes)}</strong><span class="muted">footage</span></div>
        <Show when={props.storage.free_bytes !== undefined}><div><strong>{bytes(props.storage.free_bytes ?? 0)}</strong><span class="muted">free</span></div></Show>
        <div><strong>{bytes(props.storage.cameras.reduce((sum, camera) => sum + camera.locked_bytes, 0))}</strong><span class="muted">locked</span></div>
      </div>
      <Show when={props.storage.free_bytes !== undefined}><Progress value={full()} label="Share of the disk that footage takes" /></Show>
      <Show when={props.storage.cameras.length > 0} fallback={<p class="muted">No footage yet.</p>}>
        <div class="table-box flat"><table>
          <thead><tr><th>Camera</th><th class="number">Size</th><th class="share">Share</th><th>Oldest</th><th class="number">Locked</th></tr></thead>
          <tbody>
            <For each={all() ? sorted() : sorted().slice(0, 10)}>
              {(camera) => (
                <tr>
                  <td><a href={`/d/${encodeURIComponent(camera.device)}?camera=${encodeURIComponent(camera.camera)}`}>{camera.device}, {camera.camera}</a></td>
                  <td class="number nowrap">{bytes(camera.bytes)}</td>
                  <td class="share"><progress class="progress thin" max={largest()} value={camera.bytes} aria-label="Compared with the largest" /></td>
                  <td class="num nowrap">{camera.oldest === undefined ? '–' : day(camera.oldest)}</td>
                  <td class="number nowrap">{camera.locked_bytes === 0 ? '–' : bytes(camera.locked_bytes)}</td>
                </tr>
              )}
            </For>
          </tbody>
        </table></div>
        <Show when={props.storage.cameras.length > 10 && !all()}><button type="button" class="button small" onClick={() => setAll(true)}>Show all {props.storage.cameras.length}</button></Show>
      </Show>
    </section>
  );
};

/** A number field's value in a unit, as the vault's number; empty is no bound. */
function amount(value: string, unit: number): number | undefined {
  const number = Number(value);
  return value.trim() === '' || !(number > 0) ? undefined : Math.round(number * unit);
}

function shown(value: number | undefined, unit: number): string {
  return value === undefined ? '' : String(Math.round((value / unit) * 1e6) / 1e6);
}

/** Only the bounds that are set, as the vault takes them. */
function clean(retention: Retention): Retention {
  const defined = <T extends object>(value: T) => Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined && field !== '')) as T;
  return { rules: retention.rules.map(defined), vault: defined(retention.vault) };
}

const Rules: Component<{ storage: Storage | undefined }> = (props) => {
  const [retention, setRetention] = createSignal<Retention>();
  const [preview, setPreview] = createSignal<RetentionPreview>();
  const [problem, setProblem] = createSignal<Problem>();
  const run = async (work: () => Promise<void>) => {
    setProblem(undefined);
    try {
      await work();
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  void run(async () => void setRetention(await api.retention()));
  const edit = (change: (now: Retention) => Retention) => {
    setPreview(undefined);
    setRetention((now) => now && change(now));
  };
  const editRule = (index: number, change: Partial<{ [K in keyof RetentionRule]: RetentionRule[K] | undefined }>) =>
    edit((now) => ({ ...now, rules: now.rules.map((rule, at) => (at === index ? ({ ...rule, ...change } as RetentionRule) : rule)) }));
  const ask = () => run(async () => {
    const now = retention();
    if (now) setPreview(await api.previewRetention(clean(now)));
  });
  const save = () => run(async () => {
    const now = retention();
    if (!now) return;
    setRetention(await api.setRetention(clean(now)));
    setPreview(undefined);
    toast('Rules saved', 'They hold from now on.');
  });
  return (
    <section class="card stack">
      <h2>Retention</h2>
      <p class="muted">The most specific rule that fits a camera applies whole. Without any rule nothing is deleted. Locked events never are.</p>
      <Show when={retention()} fallback={<Show when={!problem()}><Spinner /></Show>}>
        {(now) => (
          <fieldset class="plain stack" disabled={!may('admin')}>
            <Show when={now().rules.length > 0} fallback={<p>No rule: everything is kept until the disk is full.</p>}>
              <Index each={now().rules}>
                {(rule, index) => (
                  <div class="row fields rule">
                    <div class="grow"><Field label="Vehicle"><input list="rule-devices" placeholder="all" value={rule().device ?? ''} onChange={(event) => editRule(index, { device: event.currentTarget.value.trim() || undefined })} /></Field></div>
                    <div class="grow"><Field label="Camera"><input placeholder="all" value={rule().camera ?? ''} disabled={rule().device === undefined} onChange={(event) => editRule(index, { camera: event.currentTarget.value.trim() || undefined })} /></Field></div>
                    <div class="grow"><Field label="Keep for (days)"><input type="number" min="0" step="any" placeholder="for ever" value={shown(rule().max_age_ms, DAY)} onChange={(event) => editRule(index, { max_age_ms: amount(event.currentTarget.value, DAY) })} /></Field></div>
                    <div class="grow"><Field label="At most (GB a camera)"><input type="number" min="0" step="any" placeholder="any" value={shown(rule().max_bytes, GB)} onChange={(event) => editRule(index, { max_bytes: amount(event.currentTarget.value, GB) })} /></Field></div>
                    <Show when={may('admin')}><IconButton icon="trash" label="Remove this rule" onClick={() => edit((all) => ({ ...all, rules: all.rules.filter((_, at) => at !== index) }))} /></Show>
                  </div>
                )}
              </Index>
            </Show>
            <datalist id="rule-devices"><For each={[...new Set(props.storage?.cameras.map((camera) => camera.device))]}>{(name) => <option value={name} />}</For></datalist>
            <h3>The vault as a whole</h3>
            <div class="row fields">
              <div class="grow"><Field label="At most (GB)"><input type="number" min="0" step="any" placeholder="any" value={shown(now().vault.max_bytes, GB)} onChange={(event) => { const value = amount(event.currentTarget.value, GB); edit((all) => ({ ...all, vault: { ...all.vault, max_bytes: value } as Retention['vault'] })); }} /></Field></div>
              <div class="grow"><Field label="Keep free on the disk (GB)"><input type="number" min="0" step="any" placeholder="nothing" value={shown(now().vault.min_free_bytes, GB)} onChange={(event) => { const value = amount(event.currentTarget.value, GB); edit((all) => ({ ...all, vault: { ...all.vault, min_free_bytes: value } as Retention['vault'] })); }} /></Field></div>
            </div>
            <Show when={may('admin')}>
              <div class="row">
                <button type="button" class="button" onClick={() => edit((all) => ({ ...all, rules: [...all.rules, { max_age_ms: 30 * DAY }] }))}><Icon name="plus" />Add a rule</button>
                <button type="button" class="button" onClick={() => void ask()}><Icon name="eye" />What would be deleted?</button>
                <button type="button" class="button primary" onClick={() => void save()}>Save rules</button>
              </div>
            </Show>
          </fieldset>
        )}
      </Show>
      <ProblemNote problem={problem()} />
      <Show when={preview()}>
        {(found) => (
          <div class="note" classList={{ warn: found().packs > 0 }} role="status" data-testid="preview">
            <strong>{found().packs === 0 ? 'These rules would delete nothing now.' : `These rules would delete ${bytes(found().bytes)} now (${count(found().packs, 'pack')}).`}</strong>
            <For each={found().cameras.slice(0, 12)}>{(camera) => <span>{camera.device}, {camera.camera}: {bytes(camera.bytes)}{camera.to === undefined ? '' : `, up to ${moment(camera.to)}`}</span>}</For>
            <Show when={found().kept_by_lock.packs > 0}><span>Locks keep {bytes(found().kept_by_lock.bytes)} that would go otherwise.</span></Show>
            <Show when={found().unmet > 0}><span>Locks make {count(found().unmet, 'bound')} unreachable: unlock something, or raise it.</span></Show>
          </div>
        )}
      </Show>
    </section>
  );
};

export default StoragePart;
