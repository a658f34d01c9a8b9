// Starts the dashboard.
import { render } from 'solid-js/web';
import { App } from './app';
import { startRouter } from './router';
import { applyTheme } from './ui/theme';
import './styles/base.css';
import './styles/parts.css';
import './styles/screens.css';

applyTheme();
startRouter();
const root = document.getElementById('app');
if (root) render(() => <App />, root);
