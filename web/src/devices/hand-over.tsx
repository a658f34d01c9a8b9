// A secret that is shown once: to copy, or to scan.
import { onMount, type Component } from 'solid-js';
import { generate } from 'lean-qr';
import { IconButton } from '../ui/parts';
import { toast, toastProblem } from '../ui/toast';

export const CopyBox: Component<{ text: string; label: string }> = (props) => (
  <pre class="command"><code aria-label={props.label}>{props.text}</code>
    <IconButton icon="copy" label="Copy" onClick={() => navigator.clipboard.writeText(props.text).then(() => toast('Copied'), toastProblem)} />
  </pre>
);

export const QrCode: Component<{ text: string }> = (props) => {
  let canvas!: HTMLCanvasElement;
  onMount(() => generate(props.text).toCanvas(canvas, { on: [0, 0, 0, 255], off: [255, 255, 255, 255] }));
  return <canvas ref={canvas} class="qr" role="img" aria-label="The command as a QR code" />;
};
