"""Problems of two or three steps: insurance and pensions."""

from sheet import nice, who, worked


@worked("insurance", "plan-payout", "co-payment")
def plan_payout(k, s):
    loss, d, q = k.pick(range(20000, 90001, 5000)), k.pick([1000, 2000, 5000]), k.pick([10, 20, 30])
    base = s.line("超过免赔额的部分", "Above the deductible", f"{loss} − {d}")
    own = s.line("其中自付", "Own share of it", f"{base} × {q}%")
    pay = s.line("保险赔付", "Insurer pays", f"{base} − {own}")
    s.line("个人共承担", "Borne in all by the insured", f"{loss} − {pay}")
    return (
        [f"住院费用{loss}元，免赔额{d}元，超出部分个人按{q}%共付。保险赔多少，个人一共承担多少？",
         f"一份医疗险免赔额{d}元、共付比例{q}%。发生合规费用{loss}元，请算出赔付额和个人负担。"],
        [f"A hospital bill is ${loss}. The deductible is ${d} and the insured co-pays {q}% of the rest. What does the insurer pay, and what does the insured bear in all?",
         f"A health policy has a ${d} deductible and a {q}% co-payment. For covered costs of ${loss}, find the payout and the patient's burden."])


@worked("insurance", "under-insured", "under-insurance")
def under_insured(k, s):
    value, q = k.pick(range(400000, 1000001, 100000)), k.pick([50, 60, 75, 80])
    cover, loss = nice(f"{value} × {q}%"), k.pick(range(40000, 160001, 20000))
    s.line("保障程度", "Degree of cover", f"{cover} ÷ {value}", "percent")
    v = s.line("按比例赔付", "Proportional payout", f"{loss} × {q}%")
    s.line("自己承担", "Own share", f"{loss} − {v}")
    return (
        [f"房屋价值{value}元，只投保{cover}元，合同约定不足额投保按比例赔付。损失{loss}元，能赔多少，自己承担多少？",
         f"财产实际价值{value}元，保险金额{cover}元，发生部分损失{loss}元。采用比例赔偿方式，赔款是多少？"],
        [f"A house worth ${value} is insured for only ${cover}, and the policy pays in proportion when under-insured. For a loss of ${loss}, what is paid and what is left to the owner?",
         f"Property of ${value} carries a sum insured of ${cover}. A partial loss of ${loss} is settled by proportion. How much is paid?"])


@worked("insurance", "two-insurers", "indemnity-principle")
def two_insurers(k, s):
    a, b = k.pick([(300000, 200000), (400000, 100000), (240000, 160000), (360000, 240000), (350000, 150000)])
    loss = k.pick(range(50000, 200001, 10000))
    t = s.line("两份保额之和", "Sum of both covers", f"{a} + {b}")
    x = s.line("甲公司分摊", "First insurer", f"{loss} × {a} ÷ {t}")
    s.line("乙公司分摊", "Second insurer", f"{loss} − {x}")
    return (
        [f"同一财产向甲公司投保{a}元、向乙公司投保{b}元，财产价值不低于保额之和。损失{loss}元，按保额比例分摊，各赔多少？",
         f"某仓库有两份火险，保额分别为{a}元和{b}元，约定按保额比例承担损失。发生{loss}元损失，两家各付多少？"],
        [f"The same property is insured for ${a} with one company and ${b} with another, and is worth at least both together. They share by sum insured. Who pays what of a ${loss} loss?",
         f"Two fire policies of ${a} and ${b} cover one warehouse and share losses in proportion. Split a loss of ${loss}."])


@worked("insurance", "pay-monthly", "premium")
def pay_monthly(k, s):
    m = k.pick(range(210, 521, 10))
    year = nice(f"{m * 12} − {k.pick([120, 180, 240])}")
    t = s.line("按月缴一年合计", "Twelve monthly payments", f"{m} × 12")
    d = s.line("比年缴多", "More than paying yearly", f"{t} − {year}")
    s.line("多付比例", "Extra as a share", f"{d} ÷ {year}", "percent")
    return (
        [f"一份保险年缴保费{year}元，也可以每月缴{m}元。按月缴一年多付多少，多百分之几？",
         f"保费可选年缴{year}元或月缴{m}元，月缴的代价有多大？"],
        [f"A policy costs ${year} a year or ${m} a month. How much more is paid by the month, and what percentage is that?",
         f"Premiums may be ${year} once a year or ${m} monthly. What does paying monthly cost extra?"])


@worked("insurance", "surrender-loss", "surrender-value")
def surrender_loss(k, s):
    (z, e), p, n, q = who(k), k.pick(range(3000, 12001, 1000)), k.pick([3, 4, 5, 6]), k.pick([30, 45, 50, 60])
    t = s.line("已缴保费", "Premiums paid", f"{p} × {n}")
    v = s.line("退保可得", "Surrender value", f"{t} × {q}%")
    s.line("损失", "Loss", f"{t} − {v}")
    return (
        [f"{z}的终身寿险每年缴{p}元，已缴{n}年，此时现金价值为已缴保费的{q}%。现在退保拿回多少，损失多少？",
         f"保险每年保费{p}元，缴了{n}年后想退保，现金价值相当于已缴保费的{q}%。退保损失是多少？"],
        [f"{e} has paid ${p} a year for {n} years into a whole-life policy whose cash value is {q}% of the premiums paid. What does surrender bring, and what is lost?",
         f"After {n} yearly premiums of ${p} a policy's cash value is {q}% of what was paid. How large is the loss on surrender?"])


@worked("insurance", "insurer-margin", "combined-ratio")
def insurer_margin(k, s):
    p = k.pick(range(400, 1601, 200))
    c, x = nice(f"{p} × {k.pick([55, 62, 68, 70])}%"), nice(f"{p} × {k.pick([25, 28, 35])}%")
    a = s.line("赔付率", "Loss ratio", f"{c} ÷ {p}", "percent")
    b = s.line("费用率", "Expense ratio", f"{x} ÷ {p}", "percent")
    v = s.line("综合成本率", "Combined ratio", f"{a}% + {b}%", "percent")
    good = v < 100
    s.say("低于100%，承保有盈利。" if good else ("等于100%，承保不赚不赔。" if v == 100 else "高于100%，承保亏损。"),
          "Below 100%: underwriting makes a profit." if good else ("Exactly 100%: underwriting breaks even." if v == 100 else "Above 100%: underwriting makes a loss."))
    return (
        [f"某财险公司已赚保费{p}万元，赔款{c}万元，费用{x}万元，综合成本率是多少？承保是否盈利？",
         f"已赚保费{p}万元、赔付支出{c}万元、经营费用{x}万元，请计算赔付率、费用率和综合成本率。"],
        [f"A property insurer earned premiums of ${p} thousand, with claims of ${c} thousand and expenses of ${x} thousand. What is its combined ratio, and does underwriting pay?",
         f"Compute loss ratio, expense ratio and combined ratio: earned premiums ${p} thousand, claims ${c} thousand, expenses ${x} thousand."])


@worked("insurance", "group-cover", "sum-insured")
def group_cover(k, s):
    n, f, pay = k.pick([40, 60, 80, 120]), k.pick([2, 3]), k.pick(range(60000, 120001, 10000))
    r = k.pick(["1.2", "1.5", "2"])
    one = s.line("每人保额", "Cover per person", f"{pay} × {f}")
    allc = s.line("总保额", "Total cover", f"{one} × {n}")
    s.line("年保费", "Yearly premium", f"{allc} ÷ 1000 × {r}")
    return (
        [f"公司为{n}名员工投保团体寿险，每人保额为年薪{pay}元的{f}倍，费率为每千元保额{r}元，年保费多少？",
         f"团体寿险：{n}人，人均年薪{pay}元，保额{f}倍年薪，每1000元保额收费{r}元。求总保费。"],
        [f"A firm insures {n} employees for {f} times their yearly pay of ${pay}. The rate is ${r} per $1000 of cover. What is the yearly premium?",
         f"Group life: {n} people, average pay ${pay}, cover of {f} times pay, ${r} for each $1000 insured. Find the total premium."])


@worked("insurance", "life-need", "term-life")
def life_need(k, s):
    (z, e), spend, n = who(k), k.pick(range(40000, 90001, 10000)), k.pick([8, 10, 12, 15])
    debt, have = k.pick(range(100000, 500001, 50000)), k.pick([80000, 120000, 150000])
    a = s.line("家人生活费", "Living costs of the family", f"{spend} × {n}")
    t = s.line("需要总额", "Total need", f"{a} + {debt}")
    s.line("保额缺口", "Cover needed", f"{t} − {have}")
    return (
        [f"{z}希望身故后家人有{n}年、每年{spend}元的生活费，并还清{debt}元房贷，现有储蓄{have}元。不计利息和物价，定期寿险保额大约多少？",
         f"按需求法估算寿险保额：家庭每年开支{spend}元，保障{n}年，未还贷款{debt}元，可用资产{have}元，忽略利率和通胀。"],
        [f"If {e} died, the family should have ${spend} a year for {n} years and the ${debt} mortgage repaid. Savings are ${have}. Leaving interest and inflation aside, how much term cover fits?",
         f"Estimate life cover by need: spending ${spend} a year for {n} years, debts ${debt}, assets ${have}; ignore interest and inflation."])


@worked("pension", "base-limits", "contribution-base")
def base_limits(k, s):
    (z, e), low, high = who(k), k.pick([4000, 4500, 5000]), k.pick([20000, 24000, 25000])
    pay, q = k.pick([2800, 3200, 27000, 30000, 36000, 3600]), k.pick([6, 8])
    base = low if pay < low else high
    side = ("低于下限", "下限", "below the lower limit") if pay < low else ("高于上限", "上限", "above the upper limit")
    s.say(f"工资{pay}元{side[0]}，缴费基数按{side[1]}{base}元计。", f"Pay of ${pay} is {side[2]}, so the base is ${base}.")
    m = s.line("每月个人缴费", "Monthly contribution", f"{base} × {q}%")
    s.line("全年个人缴费", "Contribution for the year", f"{m} × 12")
    return (
        [f"假设缴费基数下限{low}元、上限{high}元，个人费率{q}%。{z}月工资{pay}元，全年个人缴费多少？",
         f"某地规定基数在{low}元到{high}元之间，个人按{q}%缴。月薪{pay}元的职工一年自己缴多少？"],
        [f"Suppose the contribution base lies between ${low} and ${high} and the worker pays {q}%. {e} earns ${pay} a month. What is the worker's contribution for a year?",
         f"With a base of at least ${low} and at most ${high} and a rate of {q}%, how much does someone on ${pay} a month contribute in a year?"])


@worked("pension", "final-pay", "defined-benefit")
def final_pay(k, s):
    (z, e), pay, y, q = who(k), k.pick(range(6000, 15001, 500)), k.pick([20, 25, 30, 35]), k.pick(["1.2", "1.5", 2])
    r = s.line("计发比例", "Share of pay", f"{q}% × {y}", "percent")
    m = s.line("每月养老金", "Monthly pension", f"{pay} × {r}%")
    s.line("每年养老金", "Yearly pension", f"{m} × 12")
    return (
        [f"某待遇确定型计划每工作一年计发退休前月薪的{q}%。{z}工作{y}年，退休前月薪{pay}元，每月、每年能领多少？",
         f"养老金公式：退休前月薪 × 年限 × {q}%。月薪{pay}元、工龄{y}年，月养老金和年养老金各是多少？"],
        [f"A defined-benefit plan gives {q}% of final monthly pay for each year of service. {e} worked {y} years and last earned ${pay} a month. What is the pension a month and a year?",
         f"Pension = final pay × years × {q}%. With ${pay} a month and {y} years, find the monthly and the yearly pension."])


@worked("pension", "account-payout", "defined-contribution")
def account_payout(k, s):
    a, b, y, n = k.pick(range(400, 1201, 100)), k.pick(range(300, 901, 100)), k.pick([20, 25, 30]), k.pick([180, 200, 240])
    m = s.line("每月存入", "Paid in each month", f"{a} + {b}")
    t = s.line("累计存入", "Paid in altogether", f"{m} × 12 × {y}")
    s.line(f"分{n}个月领取，每月", f"Paid out over {n} months, each", f"{t} ÷ {n}")
    return (
        [f"个人账户每月由本人存{a}元、单位存{b}元，连续{y}年，不计收益和费用，退休后分{n}个月领取，每月多少？",
         f"缴费确定型计划：个人每月{a}元、雇主每月{b}元，缴{y}年。忽略投资收益，平均分{n}个月支取，月领多少？"],
        [f"A worker pays ${a} and the employer ${b} a month into an account for {y} years. Without returns or costs, what can be drawn each month over {n} months?",
         f"Defined contribution: ${a} and ${b} a month for {y} years. Ignoring returns, what does an even payout over {n} months give?"])


@worked("pension", "retirement-gap", "longevity-risk")
def retirement_gap(k, s):
    spend, pen, y = k.pick(range(5000, 9001, 500)), k.pick(range(3000, 4501, 250)), k.pick([18, 20, 25])
    d = s.line("每月缺口", "Monthly gap", f"{spend} − {pen}")
    a = s.line(f"{y}年缺口", f"Gap over {y} years", f"{d} × 12 × {y}")
    s.line("若多活5年，再增加", "Living five years longer adds", f"{d} × 12 × 5")
    s.say("寿命难以预知，应留出余量。", "No one knows how long life lasts, so leave a margin.")
    return (
        [f"退休后每月开支{spend}元，养老金{pen}元，按{y}年估算，不计利息和物价，要自备多少？若多活5年还差多少？",
         f"养老规划：月支出{spend}元、月养老金{pen}元，退休期{y}年。忽略通胀与收益，求资金缺口及寿命延长5年的影响。"],
        [f"Spending in retirement is ${spend} a month and the pension ${pen}. Over {y} years, without interest or inflation, how much must be saved? What do five more years add?",
         f"Plan for old age: ${spend} a month out, ${pen} a month in, {y} years. Ignoring inflation and returns, find the gap and the effect of living five years longer."])


@worked("pension", "vesting-share", "vesting")
def vesting_share(k, s):
    (z, e), own, firm = who(k), k.pick(range(12000, 40001, 2000)), k.pick(range(10000, 30001, 2000))
    y, q = k.pick([2, 3, 4]), 20
    r = s.line("归属比例", "Vested share", f"{q}% × {y}", "percent")
    v = s.line("归属的单位缴费", "Employer money vested", f"{firm} × {r}%")
    s.line("离职可带走", "Taken along", f"{own} + {v}")
    return (
        [f"企业年金约定单位缴费每满一年归属{q}%。{z}满{y}年离职，账户里个人缴费{own}元、单位缴费{firm}元，能带走多少？",
         f"单位缴费按每年{q}%归属，员工工作{y}年后离开，个人部分{own}元，单位部分{firm}元。求可得金额。"],
        [f"In a company pension {q}% of the employer's money vests per full year. {e} leaves after {y} years with ${own} of own and ${firm} of employer contributions. How much goes along?",
         f"Employer contributions vest at {q}% a year. After {y} years the account holds ${own} own and ${firm} employer money. What can the leaver take?"])
