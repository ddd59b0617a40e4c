// The connection of the verbs of topics; made in the composition root, doubled in tests.
import type { TopicDefaults } from "../../engine/core/own-topics.ts";
import type { Plan } from "../../engine/core/plan.ts";
import type { DesiredTopic } from "../../engine/provision/topics.ts";
import type { CliIo } from "../io.ts";
import type { OperateConnection } from "../operating.ts";

export interface TopicsConnection extends OperateConnection {
  readonly topicDefaults: TopicDefaults;
  topics(options: TopicsOptions): Promise<readonly DesiredTopic[]>;
  /** All plans of the repository, as declared and as they run. */
  allPlans(): Promise<readonly Plan[]>;
}
export interface TopicsOptions {
  /** With those that are made at their first use. */
  readonly withRedrive?: boolean;
  /** None: of all pipelines. */
  readonly pipelines?: readonly string[];
}
export type ConnectTopics = (io: CliIo) => Promise<TopicsConnection>;

/** A pipeline is in the list as it is declared and as it runs. */
export const onePerPipeline = (plans: readonly Plan[]): readonly Plan[] => [
  ...new Map(plans.map((plan) => [plan.pipeline, plan])).values(),
];
