// The vehicles: add one, see how each is doing, revoke one.
import { createSignal, For, onCleanup, Show, type Component } from 'solid-js';
import * as api from '../api';
import { asProblem, type Problem } from '../api/problem';
import type { Device, NewDevice } from '../api/types';
import { ago, bytes, count, duration, rate } from '../format';
import { createPoll } from '../poll';
import { navigate, place } from '../router';
import { may } from '../session';
import { Icon } from '../ui/icons';
import { Dialog, Empty, Field, PageHead, ProblemNote, Spinner } from '../ui/parts';
import { toastProblem } from '../ui/toast';
import { linkQuality, Presence } from './health';
import { CopyBox, QrCode } from './hand-over';

const PER_PAGE = 50;

const Devices: Component = () => {
  const [now, setNow] = createSignal(Date.now());
  const [search, setSearch] = createSignal('');
  const [page, setPage] = createSignal(0);
  const [revoking, setRevoking] = createSignal<Device>();
  const list = createPoll((signal) => api.devices(signal), 5000);
  const timer = setInterval(() => setNow(Date.now()), 2000);
  onCleanup(() => clearInterval(timer));
  const adding = () => place().query.has('add');
  const found = () => (list.data() ?? []).filter((device) => device.id.toLowerCase().includes(search().toLowerCase())).sort((a, b) => Number(a.revoked) - Number(b.revoked) || (a.id < b.id ? -1 : 1));
  const last = () => Math.max(0, Math.ceil(found().length / PER_PAGE) - 1);
  const shown = () => found().slice(Math.min(page(), last()) * PER_PAGE, (Math.min(page(), last()) + 1) * PER_PAGE);
  const turn = (by: number) => {
    setPage((at) => at + by);
    scrollTo(0, 0);
  };
  return (
    <main class="page" tabindex="-1">
      <PageHead title="Devices" lead={list.data() && `${count(list.data()?.length ?? 0, 'vehicle')}, ${list.data()?.filter((device) => device.online).length ?? 0} online`}>
        <Show when={(list.data()?.length ?? 0) > 8}>
          <label class="search"><Icon name="search" /><span class="visually-hidden">Find a device</span><input type="search" placeholder="Find a device" value={search()} onInput={(event) => { setSearch(event.currentTarget.value); setPage(0); }} /></label>
        </Show>
        <Show when={may('admin')}><a class="button primary" href="/devices?add"><Icon name="plus" />Add a vehicle</a></Show>
      </PageHead>
      <Show when={list.data()} fallback={<Show when={list.problem()} fallback={<div class="splash"><Spinner /></div>}>{(problem) => <ProblemNote problem={problem()} />}</Show>}>
        <Show when={(list.data()?.length ?? 0) > 0} fallback={<Empty icon="truck" title="No vehicles yet"><p>Add one: you get one command that starts its recorder.</p></Empty>}>
          <div class="table-box cards">
            <table>
              <thead><tr><th>Device</th><th>State</th><th>Cameras</th><th class="number">Still to send</th><th>Link</th><th class="number">Free on its disk</th><th>Version</th><th><span class="visually-hidden">Actions</span></th></tr></thead>
              <tbody>
                <For each={shown()}>{(device) => <Row device={device} now={now()} revoke={() => setRevoking(device)} />}</For>
              </tbody>
            </table>
          </div>
          <Show when={last() > 0}>
            <div class="row"><button type="button" class="button" disabled={page() === 0} onClick={() => turn(-1)}>Back</button>
              <span class="muted num">{Math.min(page(), last()) + 1} of {last() + 1}</span>
              <button type="button" class="button" disabled={page() >= last()} onClick={() => turn(1)}>Next</button></div>
          </Show>
        </Show>
      </Show>
      <Show when={adding() && may('admin')}><AddDialog close={() => navigate('/devices', { replace: true })} added={() => void list.refresh()} /></Show>
      <Show when={revoking()}>{(device) => <RevokeDialog device={device()} close={() => setRevoking(undefined)} done={() => void list.refresh()} />}</Show>
    </main>
  );
};

const Row: Component<{ device: Device; now: number; revoke: () => void }> = (props) => {
  const status = () => props.device.status;
  const link = () => status()?.link;
  const failing = () => status()?.cameras?.filter((camera) => camera.state !== undefined && /fail|back|stall/.test(camera.state)) ?? [];
  return (
    <tr classList={{ bare: status() === undefined && props.device.cameras.length === 0 }}>
      <td data-label="Device"><a href={`/d/${encodeURIComponent(props.device.id)}`}><strong>{props.device.id}</strong></a></td>
      <td data-label="State"><span class="row"><Presence device={props.device} now={props.now} />
        <For each={failing()}>{(camera) => <span class="badge bad" title={camera.detail}>{camera.name}: {camera.state}</span>}</For></span></td>
      <td data-label="Cameras">{props.device.cameras.map((camera) => camera.name).join(', ') || '–'}</td>
      <td class="number" data-label="Still to send">{status()?.backlog_bytes === undefined ? '–' : (status()?.backlog_bytes ?? 0) === 0 ? 'nothing' : <span title={duration(status()?.backlog_ms ?? 0)}>{bytes(status()?.backlog_bytes ?? 0)}</span>}</td>
      <td data-label="Link"><Show when={props.device.online && link()} fallback="–">{(up) => <span class="nowrap"><span class={linkQuality(up()).kind}>{linkQuality(up()).word}</span> <small class="muted num">{up().rtt_ms ?? '?'} ms{up().send_bytes_per_s === undefined ? '' : `, ${rate(up().send_bytes_per_s ?? 0)}`}</small></span>}</Show></td>
      <td class="number" data-label="Free on its disk">{status()?.spool_free_bytes === undefined ? '–' : bytes(status()?.spool_free_bytes ?? 0)}</td>
      <td data-label="Version"><span>{status()?.version ?? '–'}<Show when={props.device.status_at && !props.device.online}><br /><small class="muted">{ago(props.device.status_at ?? 0, props.now)}</small></Show></span></td>
      <td class="actions"><Show when={may('admin') && !props.device.revoked}><button type="button" class="button small danger" onClick={props.revoke}>Revoke</button></Show></td>
    </tr>
  );
};

const AddDialog: Component<{ close: () => void; added: () => void }> = (props) => {
  const [name, setName] = createSignal('');
  const [made, setMade] = createSignal<NewDevice>();
  const [problem, setProblem] = createSignal<Problem>();
  const add = async (event: Event) => {
    event.preventDefault();
    setProblem(undefined);
    try {
      setMade(await api.addDevice(name().trim()));
      props.added();
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return (
    <Dialog title={made() ? `Start the recorder of ${made()?.id ?? ''}` : 'Add a vehicle'} close={props.close} class="broad">
      <Show when={made()} fallback={
        <form class="stack" onSubmit={add}>
          <Field label="Name" hint="1 to 64 letters, digits, - and _. It stays with the footage, so choose one that lasts: a fleet number or the plate.">
            <input required pattern="[A-Za-z0-9_\-]{1,64}" autocapitalize="none" autocomplete="off" spellcheck={false} autofocus value={name()} onInput={(event) => setName(event.currentTarget.value)} />
          </Field>
          <ProblemNote problem={problem()} />
          <div class="row end"><button type="submit" class="button primary">Add</button></div>
        </form>
      }>
        {(device) => (
          <div class="hand-over">
            <div class="stack">
              <p><strong>Its token is shown this once.</strong> Run this in the vehicle, or scan the code with its phone or tablet:</p>
              <CopyBox text={device().command} label="The command" />
              <p class="muted">Change <code>--camera</code> to your camera: <code>front=device</code> for the machine's own, <code>front=rtsp://…</code> for one on the network. Lost the token? Revoke the device and add another.</p>
              <div class="row end"><a class="button primary" href={`/d/${encodeURIComponent(device().id)}`}>I have started it</a></div>
            </div>
            <QrCode text={device().command} />
          </div>
        )}
      </Show>
    </Dialog>
  );
};

const RevokeDialog: Component<{ device: Device; close: () => void; done: () => void }> = (props) => {
  const revoke = async () => {
    await api.revokeDevice(props.device.id).catch(toastProblem);
    props.done();
    props.close();
  };
  return (
    <Dialog title={`Revoke ${props.device.id}?`} close={props.close}>
      <p>Its token stops working at once and for good: it can neither send nor watch. Footage that is in the vault stays. What is still on the vehicle does not arrive any more.</p>
      <div class="row end"><button type="button" class="button" onClick={props.close}>Keep it</button><button type="button" class="button danger" onClick={() => void revoke()}>Revoke</button></div>
    </Dialog>
  );
};

export default Devices;
