"""Problems of two or three steps: saving, borrowing and cards."""

from sheet import nice, who, worked


@worked("savings", "demand-or-time", "time-deposit")
def demand_or_time(k, s):
    (z, e), a = who(k), k.pick(range(20000, 90001, 5000))
    low, high = k.pick(["0.2", "0.3", "0.35"]), k.pick(["1.6", "1.9", "2.2", "2.4"])
    d = s.line("活期利息", "Interest on demand", f"{a} × {low}%")
    t = s.line("定期利息", "Interest on term", f"{a} × {high}%")
    s.line("多得", "Gain", f"{t} − {d}")
    return (
        [f"{z}有{a}元闲钱一年不用。活期年利率{low}%，一年定期年利率{high}%，存定期比活期多得多少利息？",
         f"{a}元存一年：活期利率{low}%，定期利率{high}%。两种存法的利息相差多少元？",
         f"若{a}元从活期（年利率{low}%）转为一年定期（年利率{high}%），到期利息能增加多少？"],
        [f"{e} will not need ${a} for a year. Demand deposits pay {low}% and one-year deposits {high}%. How much more does the term deposit earn?",
         f"${a} is kept for one year: {low}% on demand or {high}% on term. By how much do the two amounts of interest differ?",
         f"How much does yearly interest rise when ${a} moves from a demand account at {low}% to a one-year deposit at {high}%?"])


@worked("savings", "early-withdrawal", "time-deposit")
def early_withdrawal(k, s):
    (z, e), a, n = who(k), k.pick(range(30000, 150001, 10000)), k.pick([4, 6, 8, 9])
    low, high = k.pick(["0.2", "0.25", "0.3"]), k.pick(["2.1", "2.4", "2.7"])
    got = s.line("实得利息", "Interest received", f"{a} × {low}% × {n} ÷ 12")
    full = s.line("持有满一年的利息", "Interest for the full year", f"{a} × {high}%")
    s.line("少得", "Shortfall", f"{full} − {got}")
    return (
        [f"{z}存了{a}元一年定期，年利率{high}%，{n}个月后全部支取，合同约定提前支取按活期年利率{low}%计息。与存满一年相比少得多少利息？",
         f"一年期定期存款{a}元，到期利率{high}%；第{n}个月末提前取出只按{low}%计息。两种情况的利息差多少？"],
        [f"{e} put ${a} in a one-year deposit at {high}% but withdraws it all after {n} months. By contract early withdrawal earns the {low}% demand rate. How much less interest is that than for the full year?",
         f"A one-year deposit of ${a} pays {high}% at maturity, or {low}% a year if it is broken. It is broken at the end of month {n}. What is the difference from the full interest?"])


@worked("savings", "compounding-quarters", "effective-annual-rate")
def compounding_quarters(k, s):
    r, m = k.pick([4, 6, 8, 12]), k.pick([2, 4])
    zh_m, en_m = {2: ("半年", "half-year"), 4: ("季度", "quarter")}[m]
    i = nice(f"{r} ÷ {m}")
    s.say(f"每{zh_m}利率 = {r}% ÷ {m} = {i}%。", f"Rate per {en_m} = {r}% ÷ {m} = {i}%.")
    v = s.line("实际年利率", "Effective annual rate", f"(1 + {i}%)^{m} − 1", "percent")
    s.line("比名义利率高", "Above the nominal rate by", f"{v} − {r}", "point")
    return (
        [f"名义年利率{r}%，每{zh_m}复利一次，实际年利率是多少？比名义利率高几个百分点？",
         f"一款存款报价年利率{r}%，利息每{zh_m}滚入本金。折算成一年复利一次的利率是多少，差多少？"],
        [f"A nominal rate of {r}% a year is compounded every {en_m}. What is the effective annual rate, and how far above the nominal one is it?",
         f"An account quotes {r}% a year and adds interest each {en_m}. What yearly rate does that equal, and what is the gap?"])


@worked("savings", "emergency-months", "emergency-fund")
def emergency_months(k, s):
    (z, e), spend, n, put = who(k), k.pick(range(3000, 9001, 500)), k.pick([4, 5, 6]), k.pick([1000, 1500, 2000, 2500])
    have = spend * k.pick([1, 2])
    need = s.line("目标金额", "Target", f"{spend} × {n}")
    gap = s.line("缺口", "Gap", f"{need} − {have}")
    s.line("需要时间", "Time needed", f"{gap} ÷ {put}", "month")
    return (
        [f"{z}每月必要开支{spend}元，想备足{n}个月的应急资金，现有{have}元，以后每月存{put}元，要存多久？",
         f"家庭月开支{spend}元，应急资金目标为{n}个月开支。手头已有{have}元，每月可再存{put}元，几个月能达标？"],
        [f"{e} needs ${spend} a month for essentials and wants an emergency fund of {n} months. With ${have} saved already and ${put} added each month, how long does it take?",
         f"Essential spending is ${spend} a month and the reserve should cover {n} months. There is ${have} now. At ${put} a month, after how many months is the goal reached?"])


@worked("savings", "two-rates", "compound-interest")
def two_rates(k, s):
    a, r, q = k.pick(range(10000, 60001, 5000)), k.pick([2, 3, "2.5"]), k.pick(["1.5", 4, "3.5"])
    one = s.line("第一年末", "End of year one", f"{a} × (1 + {r}%)")
    two = s.line("第二年末", "End of year two", f"{one} × (1 + {q}%)")
    s.line("两年利息", "Interest in two years", f"{two} − {a}")
    return (
        [f"{a}元存两年，第一年利率{r}%，到期后连本带利转存，第二年利率{q}%，两年共得多少利息？",
         f"一笔{a}元的存款先按{r}%存一年，本息再按{q}%存一年，总利息是多少？"],
        [f"${a} is deposited for a year at {r}%, and principal with interest goes in for a second year at {q}%. How much interest is that in all?",
         f"The rate is {r}% in the first year and {q}% in the second, and interest stays in the account. What does ${a} earn over both years?"])


@worked("savings", "project-value", "net-present-value")
def project_value(k, s):
    out, r = k.pick(range(100, 301, 20)), k.pick([5, 8, 10])
    x, y = out * k.pick([55, 60, 65]) // 100, out * k.pick([50, 60, 70]) // 100
    a = s.line("第一年流入的现值", "Present value of year one", f"{x} ÷ (1 + {r}%)", "wan")
    b = s.line("第二年流入的现值", "Present value of year two", f"{y} ÷ (1 + {r}%)^2", "wan")
    v = s.line("净现值", "Net present value", f"{a} + {b} − {out}", "wan")
    good = v > 0
    s.say("净现值大于零，达到要求的回报率。" if good else "净现值不大于零，达不到要求的回报率。",
          "It is positive, so the project earns the required rate." if good else "It is not positive, so the project misses the required rate.")
    return (
        [f"项目投入{out}万元，第一年末收回{x}万元，第二年末收回{y}万元，要求回报率{r}%。净现值是多少，是否可行？",
         f"某设备现价{out}万元，今后两年年末分别带来{x}万元和{y}万元现金，按{r}%贴现，值得买吗？"],
        [f"A project costs ${out} thousand and returns ${x} thousand after one year and ${y} thousand after two. At a required {r}%, what is its net present value, and is it worthwhile?",
         f"A machine for ${out} thousand brings cash of ${x} thousand and ${y} thousand at the end of the next two years. Discounting at {r}%, should it be bought?"])


@worked("savings", "buying-power", "real-interest-rate")
def buying_power(k, s):
    a, r, i = k.pick(range(10000, 80001, 5000)), k.pick([2, "2.5", 3]), k.pick([4, "1.5", 1, 5])
    v = s.line("一年后的本利和", "Balance after one year", f"{a} × (1 + {r}%)")
    w = s.line("按今天物价计算", "At today's prices", f"{v} ÷ (1 + {i}%)")
    up = w > a
    s.say(f"{'高于' if up else '低于'}{a}元，购买力{'增加' if up else '下降'}。", f"That is {'more' if up else 'less'} than ${a}, so buying power {'grew' if up else 'shrank'}.")
    return (
        [f"{a}元存一年，利率{r}%，这一年物价上涨{i}%。到期的钱按今天的物价值多少？购买力是增是减？",
         f"存款{a}元年利率{r}%，通货膨胀率{i}%，一年后本利和相当于现在的多少钱？"],
        [f"${a} earns {r}% for a year while prices rise {i}%. What is the balance worth at today's prices, and did buying power grow?",
         f"With a deposit of ${a} at {r}% and inflation of {i}%, what is next year's balance in today's money?"])


@worked("savings", "monthly-target", "savings-target")
def monthly_target(k, s):
    (z, e), n = who(k), k.pick([12, 18, 24, 30])
    put = k.pick(range(500, 3001, 100))
    have = k.pick([2000, 5000, 8000, 10000])
    goal = have + put * n
    zh_for, en_for = k.pick([("学车和买车首付", "driving lessons and a car deposit"), ("一次全家旅行", "a family trip"), ("进修学费", "a course of study"), ("更换家电", "new appliances")])
    gap = s.line("还差", "Still missing", f"{goal} − {have}")
    s.line("每月应存", "To save each month", f"{gap} ÷ {n}")
    return (
        [f"{z}想用{n}个月攒够{goal}元用于{zh_for}，已有{have}元，不计利息，每月应存多少？",
         f"目标{goal}元（{zh_for}），现有{have}元，期限{n}个月，忽略利息，每个月要存下多少钱？"],
        [f"{e} wants ${goal} for {en_for} in {n} months and has ${have}. Ignoring interest, how much must be saved each month?",
         f"The goal is ${goal} for {en_for}, ${have} is there, and {n} months remain. Leaving interest aside, what is the monthly saving?"])


@worked("loans", "equal-principal-month", "equal-principal")
def equal_principal_month(k, s):
    n, m = k.pick([24, 36, 60, 120]), k.pick(["0.3", "0.35", "0.4"])
    part, at = k.pick([500, 1000, 1500, 2000]), k.pick([7, 11, 13, 21])
    a = part * n
    p = s.line("每月本金", "Principal a month", f"{a} ÷ {n}")
    left = s.line(f"第{at}个月初剩余本金", f"Balance at the start of month {at}", f"{a} − {p} × ({at} − 1)")
    i = s.line("当月利息", "Interest for the month", f"{left} × {m}%")
    s.line("当月还款", "Payment", f"{p} + {i}")
    return (
        [f"等额本金贷款{a}元，{n}个月，月利率{m}%，第{at}个月要还多少？",
         f"{a}元贷款按等额本金分{n}个月还清，月利率{m}%。求第{at}期的还款额。"],
        [f"An equal-principal loan of ${a} runs {n} months at {m}% a month. What is the payment in month {at}?",
         f"${a} is repaid in {n} months with the same principal each month at {m}% a month. Find payment number {at}."])


@worked("loans", "instalment-split", "equal-instalment")
def instalment_split(k, s):
    left, m = k.pick(range(100000, 600001, 20000)), k.pick(["0.3", "0.35", "0.4"])
    pay = nice(f"{left} × {m}% + {k.pick([800, 1000, 1200, 1500])}")
    i = s.line("本月利息", "Interest this month", f"{left} × {m}%")
    c = s.line("本月归还本金", "Principal repaid", f"{pay} − {i}")
    s.line("还款后剩余本金", "Balance after payment", f"{left} − {c}")
    return (
        [f"等额本息贷款还剩本金{left}元，月利率{m}%，月供{pay}元。这个月的月供里利息、本金各多少？还后剩多少？",
         f"剩余本金{left}元，月利率{m}%，按等额本息每月还{pay}元，请拆分本期利息与本金并算出新余额。"],
        [f"An equal-instalment loan has ${left} outstanding at {m}% a month and a payment of ${pay}. How much of this payment is interest, how much principal, and what remains?",
         f"The balance is ${left}, the rate {m}% a month, the instalment ${pay}. Split the next instalment and give the new balance."])


@worked("loans", "switch-loan", "refinancing")
def switch_loan(k, s):
    old, new = k.pick([4200, 4600, 5100]), k.pick([3700, 3850, 3950])
    n, fee = k.pick([24, 36, 48, 60]), k.pick([3000, 4500, 6000, 8000])
    d = s.line("每月少还", "Saved each month", f"{old} − {new}")
    t = s.line("剩余期限内少还", "Saved over the remaining term", f"{d} × {n}")
    s.line("扣除费用后", "After the costs", f"{t} − {fee}")
    s.line("收回费用约需", "Time to recover the costs", f"{fee} ÷ {d}", "month")
    return (
        [f"原贷款月供{old}元，还剩{n}个月；换成新贷款后月供{new}元，期限相同，但要付{fee}元费用。总共省多少？多久收回费用？",
         f"借款人考虑再融资：月供由{old}元降到{new}元，剩余{n}期不变，一次性费用{fee}元。值得吗？"],
        [f"The current loan costs ${old} a month for {n} more months. A new loan of the same term costs ${new} a month plus ${fee} once. What is saved in all, and when are the costs recovered?",
         f"Refinancing would lower a payment from ${old} to ${new} over the remaining {n} months at a one-time cost of ${fee}. Does it pay?"])


@worked("loans", "prepay-part", "prepayment")
def prepay_part(k, s):
    a, r, y, f = k.pick(range(20000, 100001, 10000)), k.pick([4, "4.5", 5, 6]), k.pick([2, 3, 4]), k.pick([1, "0.5", 2])
    i = s.line("省下的利息", "Interest saved", f"{a} × {r}% × {y}")
    c = s.line("违约金", "Charge", f"{a} × {f}%")
    s.line("净节省", "Net saving", f"{i} − {c}")
    return (
        [f"一笔先息后本的贷款年利率{r}%，还有{y}年到期。现在提前归还{a}元本金，按还款额的{f}%付违约金，净省多少钱？",
         f"贷款每年只付利息，年利率{r}%，剩{y}年。提前还{a}元，违约金率{f}%，不考虑资金的其他用途，划算多少？"],
        [f"An interest-only loan at {r}% has {y} years left. Repaying ${a} of principal now costs a charge of {f}% of that sum. What is the net saving?",
         f"With {y} years to run at {r}% interest only, a borrower repays ${a} early and pays a {f}% charge on it. Leaving other uses of the money aside, how much is gained?"])


@worked("loans", "home-budget", "loan-to-value")
def home_budget(k, s):
    (z, e), price, q, t = who(k), k.pick(range(800000, 2400001, 100000)), k.pick([60, 65, 70, 75]), k.pick([2, 3])
    loan = s.line("最高贷款", "Largest loan", f"{price} × {q}%")
    down = s.line("首付", "Down payment", f"{price} − {loan}")
    tax = s.line("税费", "Taxes and fees", f"{price} × {t}%")
    s.line("自备资金", "Own money needed", f"{down} + {tax}")
    return (
        [f"{z}看中一套{price}元的房子，银行最多贷房价的{q}%，各项税费约为房价的{t}%。至少要自备多少钱？",
         f"房价{price}元，贷款价值比上限{q}%，税费率{t}%，买房需要准备多少自有资金？"],
        [f"{e} wants a home for ${price}. The bank lends at most {q}% of the price, and taxes and fees are about {t}%. How much own money is needed?",
         f"The price is ${price}, the loan-to-value limit {q}% and the fees {t}% of the price. What must the buyer bring?"])


@worked("loans", "payment-room", "debt-to-income")
def payment_room(k, s):
    income, cap = k.pick(range(9000, 30001, 1000)), k.pick([40, 45, 50])
    have = k.pick([800, 1200, 1500, 2000])
    top = s.line("月还款上限", "Upper limit of payments", f"{income} × {cap}%")
    s.line("还可承担的月供", "Room for a new payment", f"{top} − {have}")
    s.line("目前的负债收入比", "Present debt-to-income ratio", f"{have} ÷ {income}", "percent")
    return (
        [f"月收入{income}元，银行要求各项月还款不超过收入的{cap}%，现有车贷月供{have}元，新贷款月供最多多少？现在的负债收入比是多少？",
         f"某人收入{income}元/月，已有债务每月还{have}元。若负债收入比上限为{cap}%，还能承担多少月供？目前比例是多少？"],
        [f"Income is ${income} a month and payments may take at most {cap}% of it. A car loan already takes ${have}. How large may a new payment be, and what is the ratio now?",
         f"Someone earns ${income} a month and pays ${have} on debts. Under a debt-to-income limit of {cap}%, what further payment fits? What is the present ratio?"])


@worked("loans", "flat-fee", "flat-fee-loan")
def flat_fee(k, s):
    a, n, f = k.pick(range(6000, 36001, 3000)), 12, k.pick(["0.5", "0.6", "0.75", "0.8"])
    fee = s.line("全年手续费", "Fees in the year", f"{a} × {f}% × {n}")
    avg = s.line("平均占用本金", "Average principal in use", f"{a} × ({n} + 1) ÷ ({n} × 2)")
    s.line("近似年化成本", "Approximate yearly cost", f"{fee} ÷ {avg}", "percent")
    s.say(f"本金逐月归还，手续费却一直按{a}元计算，所以成本远高于{f}%的12倍。",
          f"Principal is repaid month by month while the fee stays on ${a}, so the cost is far above twelve times {f}%.")
    return (
        [f"一笔{a}元消费贷分{n}个月等额还本，每月按原金额收{f}%手续费，近似年化成本是多少？",
         f"借{a}元，{n}期还清，每期还相同本金，另付原金额{f}%的费用。按平均占用本金估算，一年的真实成本约多少？"],
        [f"A ${a} consumer loan repays equal principal over {n} months and charges {f}% of the original amount each month. What is the approximate yearly cost?",
         f"${a} is borrowed and repaid in {n} equal parts, with a fee of {f}% of the first amount every month. Measured on the average principal in use, what does it cost a year?"])


@worked("loans", "overdue-charge", "default")
def overdue_charge(k, s):
    a, d, days = k.pick(range(3000, 12001, 500)), k.pick(["0.02", "0.03", "0.05"]), k.pick([12, 18, 24, 40])
    x = s.line("罚息", "Penalty interest", f"{a} × {d}% × {days}")
    s.line("应还总额", "Total due", f"{a} + {x}")
    return (
        [f"一期{a}元的月供逾期{days}天，合同约定逾期部分每天按{d}%计罚息，不计复利，一共要还多少？",
         f"贷款月供{a}元没有按时还，晚了{days}天，罚息日利率{d}%，补缴时合计多少元？"],
        [f"A ${a} instalment is {days} days late. By contract the overdue sum bears {d}% a day, without compounding. How much is due in all?",
         f"A payment of ${a} was missed and is made {days} days later with penalty interest of {d}% a day. What is the total?"])


@worked("loans", "rate-reset", "floating-rate")
def rate_reset(k, s):
    a, r, u = k.pick(range(200000, 900001, 60000)), k.pick(["3.6", "4.2", "4.8"]), k.pick(["0.3", "0.6", "−0.3", "−0.6"])
    new = nice(f"{r} + {u}".replace("+ −", "− "))
    old_i = s.line("原月利息", "Monthly interest before", f"{a} × {r}% ÷ 12")
    new_i = s.line("新月利息", "Monthly interest after", f"{a} × {new}% ÷ 12")
    up = new_i > old_i
    s.line("每月增加" if up else "每月减少", "Rise a month" if up else "Fall a month", f"{new_i} − {old_i}" if up else f"{old_i} − {new_i}")
    return (
        [f"浮动利率贷款{a}元，按月付息、到期还本，年利率由{r}%调整为{new}%，每月利息变化多少？",
         f"一笔{a}元的先息后本贷款重新定价，利率从{r}%变成{new}%。月利息差多少元？"],
        [f"A floating-rate loan of ${a} pays interest monthly and principal at the end. Its rate moves from {r}% to {new}%. How does the monthly interest change?",
         f"An interest-only loan of ${a} is repriced from {r}% to {new}% a year. By how much does the interest of a month differ?"])


@worked("cards", "minimum-then-interest", "minimum-payment")
def minimum_then_interest(k, s):
    a, q, days = k.pick(range(4000, 16001, 1000)), k.pick([5, 10]), k.pick([20, 30])
    m = s.line("最低还款额", "Minimum payment", f"{a} × {q}%")
    left = s.line("剩余欠款", "Balance left", f"{a} − {m}")
    s.line(f"{days}天利息", f"Interest for {days} days", f"{left} × 0.05% × {days}")
    return (
        [f"信用卡账单{a}元，最低还款比例{q}%，只还最低额后，剩余部分按日利率0.05%计{days}天利息（不计复利），最低还多少？利息多少？",
         f"本期账单{a}元，持卡人只还了{q}%的最低额。余额每天计息0.05%，{days}天后产生多少利息？请分步计算。"],
        [f"A card bill is ${a} and the minimum payment {q}%. If only that is paid, the rest bears 0.05% a day for {days} days without compounding. What is the minimum, and what is the interest?",
         f"Someone owes ${a} on a statement and sends in the {q}% minimum. What is left costs 0.05% a day. Work out the interest after {days} days step by step."])


@worked("cards", "cash-cost", "cash-advance")
def cash_cost(k, s):
    a, f, days = k.pick(range(2000, 12001, 500)), k.pick([1, "1.5", 2]), k.pick([10, 15, 20, 25])
    c = s.line("手续费", "Fee", f"{a} × {f}%")
    i = s.line("利息", "Interest", f"{a} × 0.05% × {days}")
    s.line("总成本", "Total cost", f"{c} + {i}")
    return (
        [f"用信用卡取现{a}元，手续费{f}%，从取现当天起按日利率0.05%计息，{days}天后归还，一共花多少成本？",
         f"信用卡预借现金{a}元，费率{f}%，日息0.05%，用了{days}天。费用和利息合计多少？"],
        [f"${a} is drawn in cash on a credit card with a {f}% fee and interest of 0.05% a day from the day of withdrawal. What does it cost if repaid after {days} days?",
         f"A cash advance of ${a} carries a {f}% fee and 0.05% a day. After {days} days, what do fee and interest come to?"])


@worked("cards", "abroad-purchase", "foreign-purchase-fee")
def abroad_purchase(k, s):
    a, x, f = k.pick(range(120, 901, 60)), k.pick(["7.1", "7.2", "1.25", "6.5"]), k.pick([1, "1.5", 2])
    v = s.line("折合本币", "In home currency", f"{a} × {x}", "home")
    c = s.line("货币转换费", "Conversion fee", f"{v} × {f}%", "home")
    s.line("入账金额", "Amount charged", f"{v} + {c}", "home")
    return (
        [f"在国外刷卡消费{a}单位外币，入账汇率为1外币兑{x}本币，发卡行收{f}%货币转换费，账单上是多少本币？",
         f"境外刷卡{a}外币，汇率{x}，转换费率{f}%，最终入账多少本币？"],
        [f"A card purchase abroad is {a} foreign units. The rate is {x} home units for one and the issuer adds a {f}% conversion fee. What appears on the bill?",
         f"{a} foreign units are charged at {x} home units each plus a {f}% fee. How many home units is that in all?"])


@worked("cards", "lower-utilization", "credit-utilization")
def lower_utilization(k, s):
    limit, goal = k.pick(range(20000, 60001, 5000)), k.pick([20, 25, 30])
    used = nice(f"{limit} × {k.pick([55, 64, 72, 80])}%")
    s.line("目前使用率", "Utilization now", f"{used} ÷ {limit}", "percent")
    top = s.line("目标欠款", "Balance at the goal", f"{limit} × {goal}%")
    s.line("至少应还", "To repay at least", f"{used} − {top}")
    return (
        [f"信用卡总额度{limit}元，已用{used}元，想把使用率降到{goal}%，至少要还多少？现在使用率是多少？",
         f"额度{limit}元的卡欠款{used}元。目标使用率{goal}%，需要先还掉多少钱？"],
        [f"A card has a limit of ${limit} and ${used} used. How much must be repaid to bring utilization to {goal}%, and what is it now?",
         f"The balance is ${used} on a ${limit} limit. The aim is {goal}% utilization. How much has to be repaid first?"])
