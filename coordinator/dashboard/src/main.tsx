import { render } from 'preact';
import './styles/tokens.css';
import './styles/base.css';
import './styles/frame.css';
import './styles/parts.css';
import './styles/pages.css';
import { ApiClient } from './api/client';
import { App } from './app';
import type { Question } from './components/question';
import { Router } from './router';
import type { Services } from './state/context';
import { EMPTY_FLEET } from './state/fleet';
import { Session } from './state/session';
import { Store } from './state/store';

const api = new ApiClient();
const session = new Session(api);
void session.start(); // first of all: a key in the address is gone before anything else runs

const services: Services = {
  api,
  session,
  router: new Router(),
  fleet: new Store(EMPTY_FLEET),
  announcement: new Store(''),
  question: new Store<Question | null>(null),
};

render(<App services={services} />, document.getElementById('app')!);
