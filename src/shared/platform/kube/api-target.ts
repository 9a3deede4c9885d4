// What a client must know to talk to one API server. Finding it out is target.ts.

/** TLS and header material for one request. */
export interface ApiCredentials {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: ApiTls;
}

export interface ApiTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly serverName?: string;
}

export interface ApiTarget {
  /** `https://host:port` and perhaps a path, without a slash at the end. */
  readonly server: string;
  /** Unix socket to connect to instead of the host of `server`. */
  readonly unixPath?: string;
  /**
   * Proxy of the kubeconfig, http or https; false for none. Absent: as the environment says.
   */
  readonly proxy?: string | false;
  /**
   * Credentials for the next request; without it there are none. `refused` are those that a 401
   * answered: they are not given again from a cache.
   */
  credentials?(o?: { readonly refused: ApiCredentials | undefined }): Promise<ApiCredentials>;
}

/** For servers without TLS and credentials of a fixed kind: tests, and `kubectl proxy`. */
export function staticTarget(o: {
  server: string;
  unixPath?: string;
  token?: string;
  tls?: ApiTls;
}): ApiTarget {
  const headers = o.token === undefined ? {} : { authorization: `Bearer ${o.token}` };
  const credentials = Promise.resolve({ headers, tls: o.tls ?? {} });
  return {
    server: o.server.replace(/\/+$/, ''),
    ...(o.unixPath === undefined ? {} : { unixPath: o.unixPath }),
    credentials: () => credentials,
  };
}
