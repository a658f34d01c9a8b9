// One event: what it is, its lock, its note; unlocking says what follows.
import { createSignal, Show, type Component } from 'solid-js';
import * as api from '../api';
import { asProblem, type Problem } from '../api/problem';
import type { VehicleEvent } from '../api/types';
import { duration, moment } from '../format';
import { may } from '../session';
import { Dialog, Field, ProblemNote } from '../ui/parts';
import { Icon } from '../ui/icons';

export const EventDialog: Component<{ event: VehicleEvent; close: () => void; changed: () => void; show?: () => void }> = (props) => {
  const [noteText, setNoteText] = createSignal(props.event.note ?? '');
  const [locked, setLocked] = createSignal(props.event.locked);
  const [problem, setProblem] = createSignal<Problem>();
  const run = async (work: () => Promise<unknown>, close = false) => {
    setProblem(undefined);
    try {
      await work();
      props.changed();
      if (close) props.close();
    } catch (error) {
      setProblem(asProblem(error));
    }
  };
  return (
    <Dialog title={`Event: ${props.event.kind}`} close={props.close}>
      <p><span class="num">{moment(props.event.from)}</span>, {duration(Math.max(props.event.to - props.event.from, 1000))}, {props.event.device}{props.event.camera === undefined ? ', all cameras' : `, ${props.event.camera}`}
        <Show when={props.event.created_by}><span class="muted">, by {props.event.created_by}</span></Show></p>
      <div class="row">
        <span class="badge" classList={{ accent: locked() }}><Icon name={locked() ? 'lock' : 'unlock'} />{locked() ? 'Locked: never deleted' : 'Not locked: deleted when its time comes'}</span>
        <Show when={may('operator')}>
          <button type="button" class="button small" onClick={() => void run(async () => { await api.changeEvent(props.event.id, { locked: !locked() }); setLocked((now) => !now); })}>{locked() ? 'Unlock' : 'Lock'}</button>
        </Show>
      </div>
      <Show when={may('operator')} fallback={<Show when={props.event.note}><p>{props.event.note}</p></Show>}>
        <Field label="Note"><input value={noteText()} maxlength={1000} onInput={(event) => setNoteText(event.currentTarget.value)} /></Field>
      </Show>
      <ProblemNote problem={problem()} />
      <div class="row end">
        <Show when={may('admin')}><button type="button" class="button danger" onClick={() => void run(() => api.forgetEvent(props.event.id), true)}><Icon name="trash" />Remove mark</button></Show>
        <Show when={may('operator') && noteText() !== (props.event.note ?? '')}><button type="button" class="button" onClick={() => void run(() => api.changeEvent(props.event.id, { note: noteText() }), true)}>Save note</button></Show>
        <Show when={props.show}>{(show) => <button type="button" class="button primary" onClick={() => show()()}>Show</button>}</Show>
      </div>
    </Dialog>
  );
};
