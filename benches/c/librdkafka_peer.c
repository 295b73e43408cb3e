/*
 * Reads or writes a topic through librdkafka's C API, as fast as that gets, and prints what it took: one JSON object with the
 * fields that `divvy bench` prints.
 *
 * Reading: the batch call on one queue for all partitions, without a group. The clock runs from the making of the handle to the
 * last message or acknowledgement.
 */
#include <librdkafka/rdkafka.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BATCH 10000
#define PATIENCE_MS 30000

struct options {
	const char *bootstrap, *topic, *fetch_bytes, *broker_version, *acks, *compression;
	int64_t messages;
	size_t size;
	int check_crcs, produce;
};

struct tally {
	int64_t messages, bytes, value_sum, failed;
};

static void fail(const char *what, const char *why) {
	fprintf(stderr, "librdkafka-peer: %s: %s\n", what, why);
	exit(1);
}

static double clock_of(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
	char why[512];
	rd_kafka_conf_res_t set = rd_kafka_conf_set(conf, name, value, why, sizeof(why));
	/* Some settings came with later versions of librdkafka. */
	if (set == RD_KAFKA_CONF_INVALID)
		fail(name, why);
}

/* Brokers before 0.10 cannot be asked for their versions. */
static void set_version(rd_kafka_conf_t *conf, const char *version) {
	int old = !strncmp(version, "0.8", 3) || !strncmp(version, "0.9", 3);
	set(conf, "api.version.request", old ? "false" : "true");
	set(conf, "broker.version.fallback", version);
}

static int partitions_of(rd_kafka_t *kafka, rd_kafka_topic_t *topic) {
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t error = rd_kafka_metadata(kafka, 0, topic, &metadata, PATIENCE_MS);
	if (error)
		fail("metadata", rd_kafka_err2str(error));
	int count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
	rd_kafka_metadata_destroy(metadata);
	if (count == 0)
		fail(rd_kafka_topic_name(topic), "there is no such topic");
	return count;
}

static void consume(const struct options *options, rd_kafka_conf_t *conf, struct tally *tally) {
	char why[512];
	set(conf, "fetch.message.max.bytes", options->fetch_bytes);
	set(conf, "fetch.max.bytes", "1000000000");
	set(conf, "receive.message.max.bytes", "2000000000");
	set(conf, "fetch.wait.max.ms", "100");
	set(conf, "fetch.queue.backoff.ms", "0");
	set(conf, "check.crcs", options->check_crcs ? "true" : "false");
	set(conf, "queued.min.messages", "10000000");
	set(conf, "queued.max.messages.kbytes", "2000000");
	rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	if (!kafka)
		fail("rd_kafka_new", why);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka, options->topic, NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(kafka);
	int partitions = partitions_of(kafka, topic);
	for (int partition = 0; partition < partitions; partition++)
		if (rd_kafka_consume_start_queue(topic, partition, RD_KAFKA_OFFSET_BEGINNING, queue))
			fail("rd_kafka_consume_start_queue", rd_kafka_err2str(rd_kafka_last_error()));

	static rd_kafka_message_t *batch[BATCH];
	while (tally->messages < options->messages) {
		ssize_t count = rd_kafka_consume_batch_queue(queue, PATIENCE_MS, batch, BATCH);
		if (count <= 0)
			fail(options->topic, "no more messages come");
		for (ssize_t i = 0; i < count; i++) {
			rd_kafka_message_t *message = batch[i];
			if (message->err && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
				fail(options->topic, rd_kafka_message_errstr(message));
			if (!message->err && tally->messages < options->messages) {
				tally->messages++;
				tally->bytes += (int64_t)(message->len + message->key_len);
				tally->value_sum += message->len ? *(const unsigned char *)message->payload : 0;
			}
			rd_kafka_message_destroy(message);
		}
	}
}

/* SplitMix64, as divvy bench makes its values. */
static uint64_t splitmix(uint64_t *state) {
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* The very values that divvy bench writes; see crates/cli/src/bench/values.rs. */
static char *make_values(size_t size, size_t *count) {
	static const char *sections[] = {"books", "music", "garden", "kitchen",
	                                 "toys",  "shoes", "office", "travel"};
	static const char *agents[] = {"Firefox/38.0", "Chrome/43.0.2357", "Safari/600.6.3",
	                               "curl/7.42.1"};
	size_t most = (16u << 20) / (size ? size : 1);
	*count = most < 17 ? 17 : most > 16381 ? 16381 : most;
	char *all = malloc(*count * size + 256);
	if (!all)
		fail("values", "no memory");
	uint64_t state = 0;
	size_t length = 0;
	for (size_t end = size; end <= *count * size && size; end += size) {
		while (length < end) {
			uint64_t r = splitmix(&state);
			length += (size_t)sprintf(
			    all + length,
			    "%08lx 2015-06-01T12:%02u:%02u.%03uZ GET /shop/%s/item-%u?page=%u 200 %u %s\n",
			    (unsigned long)(r >> 32), (unsigned)((r >> 3) % 60), (unsigned)((r >> 7) % 60),
			    (unsigned)((r >> 13) % 1000), sections[(r >> 23) % 8],
			    (unsigned)((r >> 26) % 50000), (unsigned)((r >> 17) % 10),
			    (unsigned)((r >> 11) % 20000), agents[(r >> 41) % 4]);
		}
		length = end;
	}
	return all;
}

static void delivered(rd_kafka_t *kafka, const rd_kafka_message_t *message, void *opaque) {
	struct tally *tally = opaque;
	(void)kafka;
	if (message->err)
		tally->failed++;
}

static void produce(const struct options *options, rd_kafka_conf_t *conf, struct tally *tally,
                    const char *values, size_t count) {
	char why[512];
	set(conf, "linger.ms", "5");
	set(conf, "acks", options->acks);
	set(conf, "compression.codec", options->compression);
	set(conf, "queue.buffering.max.messages", "1000000");
	set(conf, "queue.buffering.max.kbytes", "1000000");
	rd_kafka_conf_set_opaque(conf, tally);
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (!kafka)
		fail("rd_kafka_new", why);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka, options->topic, NULL);
	int partitions = partitions_of(kafka, topic);
	for (int64_t i = 0; i < options->messages; i++) {
		const char *value = values + (size_t)i % count * options->size;
		while (rd_kafka_produce(topic, (int32_t)(i % partitions), 0, (void *)value,
		                        options->size, NULL, 0, NULL)) {
			if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
				fail(options->topic, rd_kafka_err2str(rd_kafka_last_error()));
			rd_kafka_poll(kafka, 10);
		}
		tally->messages++;
		tally->bytes += (int64_t)options->size;
		tally->value_sum += options->size ? (unsigned char)value[0] : 0;
		if (i % 1000 == 0)
			rd_kafka_poll(kafka, 0);
	}
	rd_kafka_resp_err_t error = rd_kafka_flush(kafka, PATIENCE_MS);
	if (error || tally->failed)
		fail(options->topic, "messages were not delivered");
}

static struct options parse(int count, char **arguments) {
	struct options options = {.fetch_bytes = "1048576", .broker_version = "0.8.2.2",
	                          .acks = "1", .compression = "none", .size = 100};
	for (int i = 1; i < count; i++) {
		const char *name = arguments[i];
		if (!strcmp(name, "--check-crcs")) {
			options.check_crcs = 1;
			continue;
		}
		if (!strcmp(name, "--produce")) {
			options.produce = 1;
			continue;
		}
		const char *value = i + 1 < count ? arguments[++i] : NULL;
		if (!value)
			fail(name, "it needs a value");
		if (!strcmp(name, "--bootstrap"))
			options.bootstrap = value;
		else if (!strcmp(name, "--topic"))
			options.topic = value;
		else if (!strcmp(name, "--messages"))
			options.messages = atoll(value);
		else if (!strcmp(name, "--fetch-bytes"))
			options.fetch_bytes = value;
		else if (!strcmp(name, "--broker-version"))
			options.broker_version = value;
		else if (!strcmp(name, "--size"))
			options.size = (size_t)atoll(value);
		else if (!strcmp(name, "--acks"))
			options.acks = value;
		else if (!strcmp(name, "--compression"))
			options.compression = value;
		else
			fail(name, "there is no such option");
	}
	if (!options.bootstrap || !options.topic || options.messages <= 0)
		fail("usage", "librdkafka-peer --bootstrap B --topic T --messages N [--produce] ...");
	return options;
}

int main(int count, char **arguments) {
	struct options options = parse(count, arguments);
	struct tally tally = {0};
	size_t value_count = 0;
	char *values = options.produce ? make_values(options.size, &value_count) : NULL;
	double wall = clock_of(CLOCK_MONOTONIC), cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "bootstrap.servers", options.bootstrap);
	/* It warns of settings that only old brokers need. */
	set(conf, "log_level", "3");
	set_version(conf, options.broker_version);
	if (options.produce)
		produce(&options, conf, &tally, values, value_count);
	else
		consume(&options, conf, &tally);
	wall = clock_of(CLOCK_MONOTONIC) - wall;
	cpu = clock_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	printf("{\"messages\":%lld,\"bytes\":%lld,\"seconds\":%.6f,\"msgs_per_s\":%.0f,\"mb_per_s\":%.1f,"
	       "\"cpu_ns_per_msg\":%.1f,\"peak_rss_mb\":%.1f,\"crc_checked\":%s,\"value_sum\":%lld,"
	       "\"version\":\"%s\"}\n",
	       (long long)tally.messages, (long long)tally.bytes, wall, (double)tally.messages / wall,
	       (double)tally.bytes / wall / 1e6, cpu * 1e9 / (double)tally.messages,
	       (double)used.ru_maxrss * 1024 / 1e6, options.check_crcs ? "true" : "false",
	       (long long)tally.value_sum, rd_kafka_version_str());
	/* What librdkafka still holds goes with the process; nobody waits for that. */
	fflush(stdout);
	_Exit(0);
}
