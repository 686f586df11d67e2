# Prints `done` without having read anything back, to prove that the test detects it.
echo done
