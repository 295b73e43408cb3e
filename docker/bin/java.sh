# Sourced by the start scripts. Defines run_java, which replaces the shell by a
# JVM with Kafka's jars on its class path.
#
#   JARS        folder with the jars                        (/opt/kafka/jars)
#   HEAP        largest heap                                (512m)
#   JAVA_OPTS   further options of the JVM                  (none)
#   LOG_LEVEL   level of the log, which goes to stderr      (INFO)
#   JAVA_HOME   the JDK to use                              (the java of the PATH)

here=$(cd "$(dirname "$0")" && pwd)

run_java() {
  java=java
  if [ -n "${JAVA_HOME:-}" ]; then java=$JAVA_HOME/bin/java; fi
  # These versions look into JDK internals that later JDKs keep closed.
  # shellcheck disable=SC2086  # JAVA_OPTS is a list of words
  exec "$java" "-Xmx${HEAP:-512m}" \
    --add-opens java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens java.base/java.nio=ALL-UNNAMED \
    --add-exports java.base/sun.nio.ch=ALL-UNNAMED \
    "-Dlog4j.configuration=file:$here/log4j.properties" \
    "-Ddivvy.log.level=${LOG_LEVEL:-INFO}" \
    ${JAVA_OPTS:-} \
    -cp "${JARS:-/opt/kafka/jars}/*" "$@"
}
