import java.nio.ByteBuffer;
import java.util.List;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.record.MemoryRecords;

/**
 * Prints golden.txt: messages as Kafka's own classes write them. The same messages stand in samples.rs.
 *
 * kafka-clients 3.9.1 is the last release whose classes still know version 0 of everything. To run it, with that jar and
 * slf4j-api on the class path: java -cp 'jars/*' Golden.java > golden.txt
 */
public class Golden {
    static final long TIME = 1500000000000L;

    public static void main(String[] args) {
        emit("Header", "request", 1, new RequestHeaderData().setRequestApiKey((short) 1).setRequestApiVersion((short) 4)
            .setCorrelationId(7).setClientId("divvy"));
        for (int v = 0; v <= 7; v++) {
            emit("Produce", "request", v, produce(v));
            emit("Produce", "response", v, produced());
        }
        for (int v = 0; v <= 11; v++) {
            emit("Fetch", "request", v, fetch(v));
            emit("Fetch", "response", v, fetched(v));
        }
        for (int v = 0; v <= 2; v++) {
            emit("ListOffsets", "request", v, listOffsets(v));
            emit("ListOffsets", "response", v, listedOffsets(v));
            emit("OffsetCommit", "request", v, offsetCommit(v));
            emit("OffsetCommit", "response", v, offsetCommitted());
            emit("OffsetFetch", "request", v, offsetFetch());
            emit("OffsetFetch", "response", v, offsetFetched(v));
            emit("CreateTopics", "request", v, createTopics(v));
            emit("CreateTopics", "response", v, createdTopics());
        }
        for (int v = 0; v <= 4; v++) {
            emit("Metadata", "request", v, metadata(v));
            emit("Metadata", "response", v, describedMetadata());
        }
        emit("FindCoordinator", "request", 0, new FindCoordinatorRequestData().setKey("billing"));
        emit("FindCoordinator", "response", 0, new FindCoordinatorResponseData().setNodeId(2).setHost("kafka-2.example")
            .setPort(9093));
        emit("DescribeGroups", "request", 0, new DescribeGroupsRequestData().setGroups(List.of("billing", "tool")));
        emit("DescribeGroups", "response", 0, describedGroups());
        emit("ListGroups", "request", 0, new ListGroupsRequestData());
        emit("ListGroups", "response", 0, new ListGroupsResponseData().setGroups(List.of(
            new ListGroupsResponseData.ListedGroup().setGroupId("billing").setProtocolType("consumer"),
            new ListGroupsResponseData.ListedGroup().setGroupId("tool").setProtocolType(""))));
        emit("ApiVersions", "request", 0, new ApiVersionsRequestData());
        emit("ApiVersions", "response", 0, apiVersions());
        for (int v = 0; v <= 1; v++) {
            emit("DeleteTopics", "request", v, new DeleteTopicsRequestData().setTopicNames(List.of("old", "older"))
                .setTimeoutMs(5000));
            emit("DeleteTopics", "response", v, deletedTopics());
        }
    }

    static Message produce(int v) {
        var topics = new ProduceRequestData.TopicProduceDataCollection(List.<ProduceRequestData.TopicProduceData>of(
            new ProduceRequestData.TopicProduceData().setName("events").setPartitionData(List.of(
                new ProduceRequestData.PartitionProduceData().setIndex(0).setRecords(records(1, 2, 3)),
                new ProduceRequestData.PartitionProduceData().setIndex(7).setRecords(null))),
            new ProduceRequestData.TopicProduceData().setName("audit")).iterator());
        return new ProduceRequestData().setTransactionalId(v >= 3 ? "tx-1" : null).setAcks((short) -1).setTimeoutMs(1500)
            .setTopicData(topics);
    }

    static Message produced() {
        var topics = new ProduceResponseData.TopicProduceResponseCollection(List.of(
            new ProduceResponseData.TopicProduceResponse().setName("events").setPartitionResponses(List.of(
                new ProduceResponseData.PartitionProduceResponse().setIndex(0).setBaseOffset(42).setLogAppendTimeMs(TIME)
                    .setLogStartOffset(5),
                new ProduceResponseData.PartitionProduceResponse().setIndex(7).setErrorCode((short) 6).setBaseOffset(-1)
                    .setLogAppendTimeMs(-1).setLogStartOffset(-1))),
            new ProduceResponseData.TopicProduceResponse().setName("audit")).iterator());
        return new ProduceResponseData().setResponses(topics).setThrottleTimeMs(77);
    }

    static Message fetch(int v) {
        var request = new FetchRequestData().setReplicaId(-1).setMaxWaitMs(500).setMinBytes(1).setMaxBytes(8388608)
            .setIsolationLevel((byte) 1).setTopics(List.of(
                new FetchRequestData.FetchTopic().setTopic("events").setPartitions(List.of(
                    new FetchRequestData.FetchPartition().setPartition(0).setCurrentLeaderEpoch(4).setFetchOffset(100)
                        .setLogStartOffset(-1).setPartitionMaxBytes(1048576),
                    new FetchRequestData.FetchPartition().setPartition(3).setCurrentLeaderEpoch(-1).setFetchOffset(1L << 40)
                        .setLogStartOffset(9).setPartitionMaxBytes(4096))),
                new FetchRequestData.FetchTopic().setTopic("audit")));
        if (v >= 7) {
            request.setSessionId(11).setSessionEpoch(3).setForgottenTopicsData(List.of(
                new FetchRequestData.ForgottenTopic().setTopic("old").setPartitions(List.of(1, 2))));
        }
        return v >= 11 ? request.setRackId("rack-a") : request;
    }

    static Message fetched(int v) {
        var aborted = List.of(
            new FetchResponseData.AbortedTransaction().setProducerId(9).setFirstOffset(150),
            new FetchResponseData.AbortedTransaction().setProducerId(8).setFirstOffset(120));
        var first = new FetchResponseData.PartitionData().setPartitionIndex(0).setHighWatermark(200).setLastStableOffset(190)
            .setLogStartOffset(5).setPreferredReadReplica(v >= 11 ? 2 : -1).setRecords(records(10, 11, 12));
        var second = new FetchResponseData.PartitionData().setPartitionIndex(3).setErrorCode((short) 1).setHighWatermark(-1)
            .setLastStableOffset(-1).setLogStartOffset(-1).setRecords(records());
        if (v >= 4) {
            first.setAbortedTransactions(aborted);
            second.setAbortedTransactions(List.of());
        }
        var response = new FetchResponseData().setThrottleTimeMs(12).setResponses(List.of(
            new FetchResponseData.FetchableTopicResponse().setTopic("events").setPartitions(List.of(first, second)),
            new FetchResponseData.FetchableTopicResponse().setTopic("audit")));
        return v >= 7 ? response.setErrorCode((short) 71).setSessionId(11) : response;
    }

    static Message listOffsets(int v) {
        var second = new ListOffsetsRequestData.ListOffsetsPartition().setPartitionIndex(1).setTimestamp(TIME)
            .setMaxNumOffsets(v == 0 ? 4 : 1);
        var first = new ListOffsetsRequestData.ListOffsetsPartition().setPartitionIndex(0).setTimestamp(-1).setMaxNumOffsets(1);
        var request = new ListOffsetsRequestData().setReplicaId(-1).setTopics(List.of(
            new ListOffsetsRequestData.ListOffsetsTopic().setName("events").setPartitions(List.of(first, second)),
            new ListOffsetsRequestData.ListOffsetsTopic().setName("audit")));
        return v >= 2 ? request.setIsolationLevel((byte) 1) : request;
    }

    static Message listedOffsets(int v) {
        var first = new ListOffsetsResponseData.ListOffsetsPartitionResponse().setPartitionIndex(0);
        var second = new ListOffsetsResponseData.ListOffsetsPartitionResponse().setPartitionIndex(1).setErrorCode((short) 43);
        if (v == 0) {
            first.setOldStyleOffsets(List.of(300L, 100L));
        } else {
            first.setTimestamp(TIME).setOffset(300);
        }
        return new ListOffsetsResponseData().setThrottleTimeMs(3).setTopics(List.of(
            new ListOffsetsResponseData.ListOffsetsTopicResponse().setName("events").setPartitions(List.of(first, second)),
            new ListOffsetsResponseData.ListOffsetsTopicResponse().setName("audit")));
    }

    static Message metadata(int v) {
        return new MetadataRequestData().setAllowAutoTopicCreation(v < 4).setTopics(List.of(
            new MetadataRequestData.MetadataRequestTopic().setName("events"),
            new MetadataRequestData.MetadataRequestTopic().setName("audit")));
    }

    static Message describedMetadata() {
        var brokers = new MetadataResponseData.MetadataResponseBrokerCollection(List.of(
            new MetadataResponseData.MetadataResponseBroker().setNodeId(1).setHost("kafka-1.example").setPort(9092)
                .setRack("rack-a"),
            new MetadataResponseData.MetadataResponseBroker().setNodeId(2).setHost("kafka-2.example").setPort(9093)).iterator());
        var topics = new MetadataResponseData.MetadataResponseTopicCollection(List.of(
            new MetadataResponseData.MetadataResponseTopic().setName("events").setPartitions(List.of(
                new MetadataResponseData.MetadataResponsePartition().setPartitionIndex(0).setLeaderId(1)
                    .setReplicaNodes(List.of(1, 2)).setIsrNodes(List.of(1)),
                new MetadataResponseData.MetadataResponsePartition().setErrorCode((short) 9).setPartitionIndex(1).setLeaderId(2)
                    .setReplicaNodes(List.of(2)).setIsrNodes(List.of()))),
            new MetadataResponseData.MetadataResponseTopic().setErrorCode((short) 5).setName("new").setIsInternal(true))
            .iterator());
        return new MetadataResponseData().setThrottleTimeMs(4).setBrokers(brokers).setClusterId("c-1").setControllerId(2)
            .setTopics(topics);
    }

    static Message offsetCommit(int v) {
        var first = new OffsetCommitRequestData.OffsetCommitRequestPartition().setPartitionIndex(0).setCommittedOffset(123)
            .setCommittedMetadata("{}");
        var second = new OffsetCommitRequestData.OffsetCommitRequestPartition().setPartitionIndex(1).setCommittedMetadata(null);
        var request = new OffsetCommitRequestData().setGroupId("billing").setTopics(List.of(
            new OffsetCommitRequestData.OffsetCommitRequestTopic().setName("events").setPartitions(List.of(first, second)),
            new OffsetCommitRequestData.OffsetCommitRequestTopic().setName("audit")));
        if (v == 1) {
            first.setCommitTimestamp(TIME);
        }
        if (v >= 1) {
            request.setGenerationIdOrMemberEpoch(5).setMemberId("m-1");
        }
        return v >= 2 ? request.setRetentionTimeMs(86400000) : request;
    }

    static Message offsetCommitted() {
        return new OffsetCommitResponseData().setTopics(List.of(
            new OffsetCommitResponseData.OffsetCommitResponseTopic().setName("events").setPartitions(List.of(
                new OffsetCommitResponseData.OffsetCommitResponsePartition().setPartitionIndex(0),
                new OffsetCommitResponseData.OffsetCommitResponsePartition().setPartitionIndex(1).setErrorCode((short) 12))),
            new OffsetCommitResponseData.OffsetCommitResponseTopic().setName("audit")));
    }

    static Message offsetFetch() {
        return new OffsetFetchRequestData().setGroupId("billing").setTopics(List.of(
            new OffsetFetchRequestData.OffsetFetchRequestTopic().setName("events").setPartitionIndexes(List.of(0, 1)),
            new OffsetFetchRequestData.OffsetFetchRequestTopic().setName("audit")));
    }

    static Message offsetFetched(int v) {
        var response = new OffsetFetchResponseData().setTopics(List.of(
            new OffsetFetchResponseData.OffsetFetchResponseTopic().setName("events").setPartitions(List.of(
                new OffsetFetchResponseData.OffsetFetchResponsePartition().setPartitionIndex(0).setCommittedOffset(123)
                    .setMetadata("{}"),
                new OffsetFetchResponseData.OffsetFetchResponsePartition().setPartitionIndex(1).setCommittedOffset(-1)
                    .setMetadata(null).setErrorCode((short) 3))),
            new OffsetFetchResponseData.OffsetFetchResponseTopic().setName("audit")));
        return v >= 2 ? response.setErrorCode((short) 14) : response;
    }

    static Message describedGroups() {
        return new DescribeGroupsResponseData().setGroups(List.of(
            new DescribeGroupsResponseData.DescribedGroup().setGroupId("billing").setGroupState("Stable")
                .setProtocolType("consumer").setProtocolData("range").setMembers(List.of(
                    new DescribeGroupsResponseData.DescribedGroupMember().setMemberId("consumer-1-abc")
                        .setClientId("consumer-1").setClientHost("/10.0.0.7").setMemberMetadata(new byte[] {0, 1})
                        .setMemberAssignment(new byte[0]))),
            new DescribeGroupsResponseData.DescribedGroup().setErrorCode((short) 16).setGroupId("tool")
                .setGroupState("Dead").setProtocolType("").setProtocolData("")));
    }

    static Message deletedTopics() {
        return new DeleteTopicsResponseData().setThrottleTimeMs(9).setResponses(
            new DeleteTopicsResponseData.DeletableTopicResultCollection(List.of(
                new DeleteTopicsResponseData.DeletableTopicResult().setName("old"),
                new DeleteTopicsResponseData.DeletableTopicResult().setName("older").setErrorCode((short) 3)).iterator()));
    }

    static Message createTopics(int v) {
        var assignments = new CreateTopicsRequestData.CreatableReplicaAssignmentCollection(List.of(
            new CreateTopicsRequestData.CreatableReplicaAssignment().setPartitionIndex(0).setBrokerIds(List.of(1, 2)),
            new CreateTopicsRequestData.CreatableReplicaAssignment().setPartitionIndex(1).setBrokerIds(List.of(2))).iterator());
        var configs = new CreateTopicsRequestData.CreatableTopicConfigCollection(List.of(
            new CreateTopicsRequestData.CreatableTopicConfig().setName("retention.ms").setValue("1000"),
            new CreateTopicsRequestData.CreatableTopicConfig().setName("cleanup.policy").setValue(null)).iterator());
        var topics = new CreateTopicsRequestData.CreatableTopicCollection(List.of(
            new CreateTopicsRequestData.CreatableTopic().setName("new").setNumPartitions(8).setReplicationFactor((short) 3)
                .setConfigs(configs),
            new CreateTopicsRequestData.CreatableTopic().setName("placed").setNumPartitions(-1).setReplicationFactor((short) -1)
                .setAssignments(assignments)).iterator());
        return new CreateTopicsRequestData().setTopics(topics).setTimeoutMs(5000).setValidateOnly(v >= 1);
    }

    static Message createdTopics() {
        var topics = new CreateTopicsResponseData.CreatableTopicResultCollection(List.of(
            new CreateTopicsResponseData.CreatableTopicResult().setName("new").setErrorMessage(null),
            new CreateTopicsResponseData.CreatableTopicResult().setName("placed").setErrorCode((short) 39)
                .setErrorMessage("no such broker")).iterator());
        return new CreateTopicsResponseData().setThrottleTimeMs(9).setTopics(topics);
    }

    static Message apiVersions() {
        var apis = new ApiVersionsResponseData.ApiVersionCollection(List.of(
            new ApiVersionsResponseData.ApiVersion().setApiKey((short) 0).setMinVersion((short) 0).setMaxVersion((short) 13),
            new ApiVersionsResponseData.ApiVersion().setApiKey((short) 18).setMinVersion((short) 0).setMaxVersion((short) 4))
            .iterator());
        return new ApiVersionsResponseData().setErrorCode((short) 35).setApiKeys(apis);
    }

    static MemoryRecords records(int... bytes) {
        var buffer = ByteBuffer.allocate(bytes.length);
        for (int b : bytes) {
            buffer.put((byte) b);
        }
        buffer.flip();
        return MemoryRecords.readableRecords(buffer);
    }

    static void emit(String api, String direction, int version, Message message) {
        ByteBuffer bytes = MessageUtil.toByteBuffer(message, (short) version);
        var hex = new StringBuilder();
        while (bytes.hasRemaining()) {
            hex.append(String.format("%02x", bytes.get()));
        }
        System.out.println(api + " " + direction + " " + version + " " + (hex.isEmpty() ? "-" : hex));
    }
}
