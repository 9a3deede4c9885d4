// Rules that the API server checks when an object is written but that reading does not: stored
// objects may be older than a rule and must stay readable. They travel in the schema's metadata
// into the CRDs (scripts/generate-crds.ts).
import * as v from 'valibot';

/**
 * A CEL rule of a CRD (x-kubernetes-validations). A rule that names `oldSelf` is only checked on
 * updates.
 */
export type CelRule = {
  readonly rule: string;
  readonly message: string;
  /** Path of the field to blame, relative to where the rule stands, like `.subnet`. */
  readonly fieldPath?: string;
};

/**
 * JSON Schema members as a structural schema has them. Patterns are for Go: no lookaround, no
 * backreference.
 */
export type AdmissionRules = {
  readonly description?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly enum?: readonly (string | number)[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly default?: unknown;
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'map' | 'set';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-preserve-unknown-fields'?: true;
  readonly 'x-kubernetes-validations'?: readonly CelRule[];
};

/** Attaches admission rules to a schema: the last item of a pipe. */
export function admission<TInput>(rules: AdmissionRules): v.MetadataAction<TInput, AdmissionRules> {
  return v.metadata<TInput, AdmissionRules>(rules);
}

/** A string of at most `maxLength` characters with further rules for admission. */
export function text(
  maxLength: number,
  description: string,
  rules: AdmissionRules = {},
): v.SchemaWithPipe<
  readonly [v.StringSchema<undefined>, v.MetadataAction<string, AdmissionRules>]
> {
  return v.pipe(v.string(), admission({ description, maxLength, ...rules }));
}

/** An integer between `minimum` and `maximum`, inclusive. */
export function integer(
  minimum: number,
  maximum: number,
  description: string,
): v.SchemaWithPipe<
  readonly [
    v.NumberSchema<undefined>,
    v.IntegerAction<number, undefined>,
    v.MetadataAction<number, AdmissionRules>,
  ]
> {
  return v.pipe(v.number(), v.integer(), admission({ description, minimum, maximum }));
}

/** Any object of Kubernetes' own that is passed on as it is. */
export function foreignObject(
  description: string,
): v.SchemaWithPipe<
  readonly [
    v.RecordSchema<v.StringSchema<undefined>, v.UnknownSchema, undefined>,
    v.MetadataAction<Record<string, unknown>, AdmissionRules>,
  ]
> {
  return v.pipe(
    v.record(v.string(), v.unknown()),
    admission({ description, 'x-kubernetes-preserve-unknown-fields': true }),
  );
}
