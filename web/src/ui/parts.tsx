// Small parts that every screen is made of.
import { createUniqueId, onMount, Show, splitProps, type Component, type JSX } from 'solid-js';
import type { Problem } from '../api/problem';
import { Icon, type IconName } from './icons';

export const Spinner: Component = () => <span class="spinner" role="status" aria-label="Loading" />;

export const ProblemNote: Component<{ problem: Problem | undefined }> = (props) => (
  <Show when={props.problem}>
    {(problem) => (
      <div class="note failed" role="alert"><strong>{problem().title}</strong><span>{problem().detail}</span></div>
    )}
  </Show>
);

/** A labelled input. The label wraps it, so that no id is needed. */
export const Field: Component<{ label: string; hint?: string; error?: string | undefined; children: JSX.Element }> = (props) => (
  <label class="field">
    <span class="field-label">{props.label}</span>
    {props.children}
    <Show when={props.hint}><small class="muted">{props.hint}</small></Show>
    <Show when={props.error}><small class="bad" role="alert">{props.error}</small></Show>
  </label>
);

export const Empty: Component<{ icon: IconName; title: string; children?: JSX.Element }> = (props) => (
  <div class="empty">
    <span class="empty-icon"><Icon name={props.icon} /></span>
    <h2>{props.title}</h2>
    <div class="muted">{props.children}</div>
  </div>
);

export const PageHead: Component<{ title: string; lead?: JSX.Element; children?: JSX.Element }> = (props) => (
  <header class="page-head">
    <div><h1>{props.title}</h1><Show when={props.lead}><p class="muted">{props.lead}</p></Show></div>
    <div class="page-actions">{props.children}</div>
  </header>
);

export const Progress: Component<{ value: number; label: string }> = (props) => (
  <progress class="progress" max="1" value={props.value} aria-label={props.label} />
);

/** A modal dialog; Escape and the cross close it, focus stays in it. */
export const Dialog: Component<{ title: string; close: () => void; class?: string; children: JSX.Element }> = (props) => {
  const id = createUniqueId();
  let dialog!: HTMLDialogElement;
  onMount(() => dialog.showModal());
  return (
    <dialog ref={dialog} class={`dialog ${props.class ?? ''}`} aria-labelledby={id} onClose={() => props.close()}
      onKeyDown={(event) => event.stopPropagation()}
      onMouseDown={(event) => { if (event.target === dialog) dialog.close(); }}>
      <div class="dialog-head">
        <h2 id={id}>{props.title}</h2>
        <IconButton icon="cross" label="Close" onClick={() => dialog.close()} />
      </div>
      <div class="dialog-body">{props.children}</div>
    </dialog>
  );
};

export const IconButton: Component<{ icon: IconName; label: string } & JSX.ButtonHTMLAttributes<HTMLButtonElement>> = (props) => {
  const [own, rest] = splitProps(props, ['icon', 'label', 'class']);
  return (
    <button type="button" class={`icon-button ${own.class ?? ''}`} aria-label={own.label} title={own.label} {...rest}><Icon name={own.icon} /></button>
  );
};
