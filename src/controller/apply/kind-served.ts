// Whether the API server has a kind at all. Only its own 404 says that it has not (design D5).
import { isKubeError } from '../../shared/platform/kube/errors.ts';
import type { Resource } from '../../shared/platform/kube/resource.ts';
import type { ControllerContext } from './context.ts';

export async function isKindServed(
  context: Pick<ControllerContext, 'client'>,
  resource: Resource<unknown>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const pages = context.client.pages(resource, { pageSize: 1, signal });
    await pages.next();
    await pages.return(undefined);
    return true;
  } catch (error) {
    if (isKubeError(error, 'not-found')) return false;
    throw error;
  }
}
