// The text format, and that series exist before their first event.
import { expect, test } from 'bun:test';
import { Metrics } from './metrics.ts';

test('counters start at zero and grow', () => {
  const metrics = new Metrics();
  const counter = metrics.counter({ name: 'c_total', help: 'C.', series: [{ a: 'x' }] });
  expect(metrics.text()).toBe('# HELP c_total C.\n# TYPE c_total counter\nc_total{a="x"} 0\n');
  counter.add({ a: 'x' }, 2);
  counter.add({ a: 'y' });
  expect(metrics.text()).toContain('c_total{a="x"} 2\nc_total{a="y"} 1\n');
  expect(counter.value({ a: 'x' })).toBe(2);
  expect(counter.value({ a: 'z' })).toBe(0);
});

test('label values are quoted', () => {
  const metrics = new Metrics();
  metrics.gauge({ name: 'g', help: 'G.', read: () => [{ labels: { a: 'q"\\\n' }, value: 1 }] });
  expect(metrics.text()).toContain('g{a="q\\"\\\\\\n"} 1\n');
});

test('a histogram counts cumulatively', () => {
  const metrics = new Metrics();
  const histogram = metrics.histogram({ name: 'h', help: 'H.', series: [{}] });
  expect(metrics.text()).toContain('h_count 0\n');
  histogram.observe({}, 0.004);
  histogram.observe({}, 99);
  const text = metrics.text();
  expect(text).toContain('h_bucket{le="0.0025"} 0\n');
  expect(text).toContain('h_bucket{le="0.005"} 1\n');
  expect(text).toContain('h_bucket{le="30"} 1\n');
  expect(text).toContain('h_bucket{le="+Inf"} 2\n');
  expect(text).toContain('h_sum 99.004\n');
});
