#!/usr/bin/env node
// Opens pages in a real browser, light and dark, and lets axe look for what keeps people out.
//
//     npm install playwright-core axe-core
//     LARIAT_SAMPLES=/tmp/samples cargo test --lib report::sample
//     CHROMIUM=/usr/bin/chromium tests/parsers/page.js /tmp/samples/*.html
//
// Prints one line per page and scheme. Exits with 1 if axe finds something, if a page asks for
// anything besides itself, or if its verdict is below the first screen.
const fs = require('fs');
const { chromium } = require('playwright-core');

const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

async function look(browser, file, colorScheme) {
  // The page's policy lets nothing run, axe neither.
  const context = await browser.newContext({ colorScheme, bypassCSP: true, viewport: { width: 1280, height: 720 } });
  const page = await context.newPage();
  let requests = 0;
  page.on('request', () => requests++);
  await page.goto('file://' + fs.realpathSync(file));
  const bottom = await page.evaluate(() => document.querySelector('.verdict').getBoundingClientRect().bottom);
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  console.log(`${file}: ${colorScheme} requests=${requests} violations=${violations.length}`);
  for (const { id, impact, nodes } of violations) {
    console.log(`  ${id} (${impact}): ${nodes.length}, first ${nodes[0].html.slice(0, 160)}`);
  }
  await context.close();
  return requests === 1 && violations.length === 0 && bottom <= 720;
}

(async () => {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  let good = true;
  for (const file of process.argv.slice(2)) {
    for (const scheme of ['light', 'dark']) good = (await look(browser, file, scheme)) && good;
  }
  await browser.close();
  process.exit(good ? 0 : 1);
})();
