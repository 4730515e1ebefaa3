// The line of the page that says what is wrong; empty if nothing is.

export function say(problem) {
  const line = document.getElementById("problem");
  line.hidden = !problem;
  if (line.textContent !== problem) line.textContent = problem ?? "";
}
