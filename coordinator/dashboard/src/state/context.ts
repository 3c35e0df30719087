// What every part of the page may need, made once in main.tsx.
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { ApiClient } from '../api/client';
import type { Me } from '../api/types';
import type { Question } from '../components/question';
import type { Router } from '../router';
import type { Fleet } from './fleet';
import type { Session } from './session';
import type { Store } from './store';

export interface Services {
  api: ApiClient;
  router: Router;
  session: Session;
  fleet: Store<Fleet>;
  announcement: Store<string>; // read out by screen readers when it changes
  question: Store<Question | null>; // being asked
}

const ServicesContext = createContext<Services | null>(null);
const MeContext = createContext<Me | null>(null);

export const ServicesProvider = ServicesContext.Provider;
export const MeProvider = MeContext.Provider;

export function useServices(): Services {
  const services = useContext(ServicesContext);
  if (services === null) throw new Error('no ServicesProvider above this component');
  return services;
}

// The person signed in; only for components below the sign-in gate.
export function useMe(): Me {
  const me = useContext(MeContext);
  if (me === null) throw new Error('nobody is signed in');
  return me;
}
