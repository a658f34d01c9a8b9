// Tokens for programs: what each may do, for which vehicle, until when.
import { createSignal, For, Show, type Component } from 'solid-js';
import * as api from '../api';
import { asProblem, type Problem } from '../api/problem';
import { ago, day } from '../format';
import { createPoll } from '../poll';
import { CopyBox } from '../devices/hand-over';
import { Icon } from '../ui/icons';
import { Dialog, Empty, Field, IconButton, ProblemNote, Spinner } from '../ui/parts';
import { toastProblem } from '../ui/toast';

const SCOPES: [string, string][] = [
  ['view', 'Watch, and read every list'],
  ['download', 'Make and download clips'],
  ['import', 'Import footage'],
  ['operate', 'Mark, lock, fetch; includes the ones above'],
  ['admin', 'Everything'],
];

const Tokens: Component = () => {
  const list = createPoll(() => api.tokens(), 15_000);
  const [adding, setAdding] = createSignal(false);
  return (
    <section class="stack">
      <div class="row"><button type="button" class="button primary" onClick={() => setAdding(true)}><Icon name="plus" />Make a token</button><a class="button" href="/api/docs" target="_blank" rel="noopener">The interface, described</a></div>
      <Show when={list.data()} fallback={<Show when={list.problem()} fallback={<Spinner />}>{(problem) => <ProblemNote problem={problem()} />}</Show>}>
        <Show when={(list.data()?.length ?? 0) > 0} fallback={<Empty icon="lock" title="No tokens"><p>A token lets a program use the vault without a user's password: <code>Authorization: Bearer dvt_…</code></p></Empty>}>
          <div class="table-box cards"><table>
            <thead><tr><th>For</th><th>May</th><th>Vehicle</th><th>Ends</th><th>Last used</th><th><span class="visually-hidden">Actions</span></th></tr></thead>
            <tbody><For each={list.data()}>{(token) => (
              <tr>
                <td data-label="For"><span><strong>{token.name}</strong><Show when={token.created_by}><br /><small class="muted">by {token.created_by}</small></Show></span></td>
                <td data-label="May"><span class="row"><For each={token.scopes}>{(scope) => <span class="badge">{scope}</span>}</For></span></td>
                <td data-label="Vehicle">{token.device ?? 'all'}</td>
                <td data-label="Ends">{token.expires === undefined ? 'never' : day(token.expires)}</td>
                <td data-label="Last used">{token.last_used === undefined ? 'never' : ago(token.last_used, Date.now())}</td>
                <td class="actions"><IconButton icon="trash" label={`Revoke ${token.name}`} onClick={() => api.removeToken(token.id).catch(toastProblem).then(() => list.refresh())} /></td>
              </tr>
            )}</For></tbody>
          </table></div>
        </Show>
      </Show>
      <Show when={adding()}><AddToken close={() => { setAdding(false); void list.refresh(); }} /></Show>
    </section>
  );
};

const AddToken: Component<{ close: () => void }> = (props) => {
  const [name, setName] = createSignal('');
  const [scopes, setScopes] = createSignal(['view']);
  const [device, setDevice] = createSignal('');
  const [days, setDays] = createSignal('365');
  const [secret, setSecret] = createSignal('');
  const [problem, setProblem] = createSignal<Problem>();
  const make = async (event: Event) => {
    event.preventDefault();
    try {
      const expires = Number(days()) > 0 ? new Date(Date.now() + Number(days()) * 86_400_000).toISOString() : undefined;
      setSecret((await api.addToken({ name: name().trim(), scopes: scopes(), ...(device().trim() && { device: device().trim() }), ...(expires && { expires }) })).secret);
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return (
    <Dialog title="Make a token" close={props.close}>
      <Show when={secret() === ''} fallback={<><p><strong>It is shown this once.</strong> The vault keeps only its hash.</p><CopyBox text={secret()} label="The token" /></>}>
        <form class="stack" onSubmit={make}>
          <Field label="What for"><input required autofocus maxlength={100} value={name()} onInput={(event) => setName(event.currentTarget.value)} /></Field>
          <fieldset class="plain stack"><legend class="field-label">What it may do</legend>
            <For each={SCOPES}>{([scope, does]) => <label class="check"><input type="checkbox" checked={scopes().includes(scope)} onChange={(event) => setScopes((all) => (event.currentTarget.checked ? [...all, scope] : all.filter((one) => one !== scope)))} /><span>{scope}<small class="muted">{does}</small></span></label>}</For>
          </fieldset>
          <div class="row fields"><div class="grow"><Field label="Only this vehicle"><input placeholder="all" value={device()} onInput={(event) => setDevice(event.currentTarget.value)} /></Field></div>
            <div class="grow"><Field label="Ends after (days)"><input type="number" min="1" placeholder="never" value={days()} onInput={(event) => setDays(event.currentTarget.value)} /></Field></div></div>
          <ProblemNote problem={problem()} />
          <div class="row end"><button type="submit" class="button primary" disabled={scopes().length === 0}>Make</button></div>
        </form>
      </Show>
    </Dialog>
  );
};

export default Tokens;
