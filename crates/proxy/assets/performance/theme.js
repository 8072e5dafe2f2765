// Runs before the page is painted, so that a chosen theme does not flash up in the other one first.
(() => {
  const KEY = 'performance-theme';
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const chosen = localStorage.getItem(KEY);
  if (chosen === 'light' || chosen === 'dark') root.dataset.theme = chosen;

  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : system.matches);

  addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const show = () => {
      button.setAttribute('aria-pressed', String(isDark()));
      dispatchEvent(new Event('themechange'));
    };
    button.addEventListener('click', () => {
      const next = isDark() ? 'light' : 'dark';
      // Who chooses what the system has anyway follows the system again.
      if ((next === 'dark') === system.matches) {
        delete root.dataset.theme;
        localStorage.removeItem(KEY);
      } else {
        root.dataset.theme = next;
        localStorage.setItem(KEY, next);
      }
      show();
    });
    system.addEventListener('change', show);
    show();
  });
})();
